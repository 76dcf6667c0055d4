// float16 conversion, exhaustively, and what dtype data stands for.
import { decodeFloat16, DTYPES, encodeFloat16 } from '@xmoe/core';
import { bytesPerElement, hostArray } from '@xmoe/core/backend';
import { inferDType } from '../src/dtype.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

/** The value of a pattern by the definition in IEEE 754, in exact arithmetic on doubles. */
function valueOf(pattern: number): number {
  const sign = pattern >> 15 ? -1 : 1;
  const exponent = (pattern >> 10) & 31;
  const fraction = pattern & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

describe('float16', () => {
  it('decodes and encodes all 65,536 patterns', () => {
    let wrong = 0;
    for (let pattern = 0; pattern < 65536; pattern++) {
      const value = decodeFloat16(pattern);
      if (!Object.is(value, valueOf(pattern))) wrong++;
      const back = encodeFloat16(value);
      const isNaNPattern = (pattern & 0x7fff) > 0x7c00;
      if (isNaNPattern ? (back & 0x7fff) <= 0x7c00 : back !== pattern) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('rounds to nearest between all neighbours, and ties to even', () => {
    let wrong = 0;
    for (let pattern = 0; pattern < 0x7bff; pattern++) {
      const [low, high] = [valueOf(pattern), valueOf(pattern + 1)];
      const tie = (low + high) / 2; // exact in float32
      const even = pattern & 1 ? pattern + 1 : pattern;
      const step = 2 ** Math.floor(Math.log2(tie)) * 2 ** -23; // one unit of float32 at the tie
      for (const sign of [1, -1]) {
        const bit = sign < 0 ? 0x8000 : 0;
        if (encodeFloat16(sign * tie) !== (even | bit)) wrong++;
        if (encodeFloat16(sign * (tie + step)) !== ((pattern + 1) | bit)) wrong++;
        if (encodeFloat16(sign * (tie - step)) !== (pattern | bit)) wrong++;
      }
    }
    expect(wrong).toBe(0);
  });

  it('overflows to infinity from 65520 on and underflows to a signed zero', () => {
    expect([65504, 65519.99, 65520, 1e30, Infinity].map(encodeFloat16)).toEqual([0x7bff, 0x7bff, 0x7c00, 0x7c00, 0x7c00]);
    expect([2 ** -25, 2 ** -25 * 1.001, 1e-40, -1e-40, -0].map(encodeFloat16)).toEqual([0, 1, 0, 0x8000, 0x8000]);
  });

  it('never strays further than half a unit', () => {
    fc.assert(fc.property(fc.float({ min: -65504, max: 65504, noNaN: true }), (value) => {
      const unit = Math.max(2 ** -24, 2 ** (Math.floor(Math.log2(Math.abs(value) || 1)) - 10));
      return Math.abs(decodeFloat16(encodeFloat16(value)) - value) <= unit / 2;
    }));
  });
});

describe('dtypes', () => {
  it('stand for host data', () => {
    expect([new Float32Array(1), new Float64Array(1), new Int32Array(1), new Uint32Array(1), new Uint8Array(1), [1], [true], []].map((data) => inferDType(data)))
      .toEqual(['float32', 'float32', 'int32', 'uint32', 'bool', 'float32', 'bool', 'float32']);
    expect(DTYPES.map((dtype) => [bytesPerElement(dtype), hostArray(dtype, 3).length])).toEqual([[4, 3], [2, 3], [4, 3], [4, 3], [1, 3]]);
  });
});
