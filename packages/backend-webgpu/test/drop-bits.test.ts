// Dropout in whole numbers drops what every other backend drops: no rate may differ by one of the 2²⁴ random numbers.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { dropBits } from '../src/kernels/math-wgsl.js';

it('an element is below dropBits exactly where its uniform number is below the rate as float32', () => {
  fc.assert(fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.integer({ min: -2, max: 2 }), (rate, distance) => {
    const bits = Math.max(0, Math.min(2 ** 24 - 1, Math.round(rate * 2 ** 24) + distance));
    expect(bits < dropBits(rate)).toBe(bits * 2 ** -24 < Math.fround(rate));
  }));
});
