// Shape arithmetic against plain definitions.
import { sizeOf } from '@xmoe/core';
import { axisView, broadcastShapes, collapseBroadcast, normalizeAxis, sameShape, stridesOf } from '@xmoe/core/backend';
import { padRank } from '../src/shape.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

/** An output shape and inputs that broadcast to it, all of one rank. */
const broadcast = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 5 }).chain((out) =>
  fc.tuple(fc.constant(out), fc.array(fc.tuple(...out.map((extent) => fc.constantFrom(1, extent))).map((shape) => shape as number[]), { minLength: 1, maxLength: 3 })));

/** For each element of out, the flat position of the input element it repeats. */
function positions(out: readonly number[], shape: readonly number[]): number[] {
  const strides = stridesOf(shape);
  return Array.from({ length: sizeOf(out) }, (_, flat) => {
    let rest = flat;
    let at = 0;
    for (let axis = out.length - 1; axis >= 0; axis--) {
      if (shape[axis] !== 1) at += (rest % out[axis]!) * strides[axis]!;
      rest = Math.floor(rest / out[axis]!);
    }
    return at;
  });
}

describe('shapes', () => {
  it('have sizes and strides', () => {
    expect([sizeOf([]), sizeOf([2, 3]), sizeOf([2, 0])]).toEqual([1, 6, 0]);
    expect(stridesOf([2, 3, 4])).toEqual([12, 4, 1]);
    expect([sameShape([2], [2]), sameShape([2], [2, 1]), sameShape([2], [3])]).toEqual([true, false, false]);
    expect(padRank([3], 3)).toEqual([1, 1, 3]);
    expect([normalizeAxis(-1, 3, 'x'), normalizeAxis(0, 3, 'x')]).toEqual([2, 0]);
    expect(() => normalizeAxis(1.5, 3, 'x')).toThrow('x: axis 1.5 is outside a tensor of rank 3');
    expect(axisView([2, 3, 4, 5], 1, 2)).toEqual({ outer: 2, size: 12, inner: 5 });
  });

  it('broadcast as in NumPy', () => {
    expect(broadcastShapes([2, 1, 4], [3, 1], 'x')).toEqual([2, 3, 4]);
    expect(broadcastShapes([], [3, 0], 'x')).toEqual([3, 0]);
    expect(broadcastShapes([1], [0], 'x')).toEqual([0]);
    expect(() => broadcastShapes([2], [3], 'x')).toThrow('x: shapes do not broadcast: [2] and [3]');
    fc.assert(fc.property(broadcast, ([out, [input]]) => {
      expect(broadcastShapes(out, input!, 'x')).toEqual(out);
      expect(broadcastShapes(input!, out, 'x')).toEqual(out);
    }));
  });

  it('collapse without changing which element goes where, and never to rank 0', () => {
    fc.assert(fc.property(broadcast, ([out, inputs]) => {
      const collapsed = collapseBroadcast(out, ...inputs);
      expect(collapsed.out.length).toBeGreaterThan(0);
      expect(sizeOf(collapsed.out)).toBe(sizeOf(out));
      inputs.forEach((shape, index) => {
        expect(collapsed.inputs[index]!.length).toBe(collapsed.out.length);
        expect(positions(collapsed.out, collapsed.inputs[index]!)).toEqual(positions(out, shape));
      });
    }), { numRuns: 500 });
    expect(collapseBroadcast([2, 3, 4], [2, 3, 4], [2, 3, 4])).toEqual({ out: [24], inputs: [[24], [24]] });
    expect(collapseBroadcast([2, 3, 4], [2, 3, 4], [1, 1, 4])).toEqual({ out: [6, 4], inputs: [[6, 4], [1, 4]] });
  });
});
