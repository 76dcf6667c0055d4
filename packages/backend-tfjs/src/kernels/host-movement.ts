// transpose, slice, broadcast and concat on the host: copies between strided layouts, any dtype.
import { sizeOf, type RequiredKernels } from '@xmoe/core';
import { stridesOf } from '@xmoe/core/backend';
import type { HostArray } from '../box.js';
import type { Memory } from '../memory.js';
import { eachRun } from './host-broadcast.js';

/** Fewer elements than this are copied one by one: `set` with `subarray` costs about as much as this many. */
const SHORT_RUN = 12;

/** to[toStart …] = from[fromStart …], n contiguous elements. */
export function copyRun(to: HostArray, toStart: number, from: HostArray, fromStart: number, n: number): void {
  if (n >= SHORT_RUN) to.set(from.subarray(fromStart, fromStart + n), toStart);
  else for (let i = 0; i < n; i++) to[toStart + i] = from[fromStart + i];
}

/** Fills `z` (row-major `shape`) from `x` at `start` with one stride per axis of `shape`. */
function copyStrided(z: HostArray, x: HostArray, shape: readonly number[], start: number, strides: readonly number[]): void {
  const total = sizeOf(shape);
  const rank = shape.length;
  if (total === 0) return;
  if (rank === 0) {
    z[0] = x[start];
    return;
  }
  const inner = shape[rank - 1];
  const step = strides[rank - 1];
  const index = new Array<number>(rank).fill(0);
  let from = start;
  for (let to = 0; to < total; to += inner) {
    if (step === 1) copyRun(z, to, x, from, inner);
    else for (let i = 0; i < inner; i++) z[to + i] = x[from + i * step];
    for (let axis = rank - 2; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= shape[axis] * strides[axis];
      index[axis] = 0;
    }
  }
}

export function hostMovement(memory: Memory): Pick<RequiredKernels, 'transpose' | 'slice' | 'broadcast' | 'concat'> {
  return {
    transpose: ({ x }, { out }, { permutation }) =>
      memory.run([out], [x], ([z], [source]) => {
        const strides = stridesOf(x.shape);
        copyStrided(z, source, out.shape, 0, permutation.map((axis) => strides[axis]));
      }),
    slice: ({ x }, { out }, { begin }) =>
      memory.run([out], [x], ([z], [source]) => {
        const strides = stridesOf(x.shape);
        copyStrided(z, source, out.shape, begin.reduce((sum, at, axis) => sum + at * strides[axis], 0), strides);
      }),
    broadcast: ({ x }, { out }) =>
      memory.run([out], [x], ([z], [source]) => {
        eachRun(out.shape, [x.shape], (start, length, [from], [step]) => {
          if (step === 0) z.fill(source[from], start, start + length);
          else copyRun(z, start, source, from, length);
        });
      }),
    concat: ({ parts }, { out }, { axis }) =>
      memory.run([out], parts, ([z], sources) => {
        const outer = sizeOf(out.shape.slice(0, axis));
        const row = sizeOf(out.shape.slice(axis));
        let start = 0;
        parts.forEach((input, index) => {
          const width = sizeOf(input.shape.slice(axis));
          for (let i = 0; i < outer; i++) copyRun(z, i * row + start, sources[index], i * width, width);
          start += width;
        });
      }),
  };
}
