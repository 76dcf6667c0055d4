// Reductions and scans: reduce, argReduce, cumsum, bincount, sumSquares. Sums are kept in doubles until the end.
import type { KernelAttributes, ReduceOp } from '@xmoe/core';
import { elements, floats, int32s, type NumericArray, type ViewInputs, type ViewOutputs } from './host-view.js';

/** A NaN among the elements makes the extreme NaN. */
export function reduce(
  { x }: ViewInputs<'reduce'>,
  { out }: ViewOutputs<'reduce'>,
  { outer, size, inner, op }: KernelAttributes<'reduce'>,
): void {
  const source = elements(x);
  const target = elements(out);
  const start = initialValue(op, x.dtype === 'int32');
  const accumulated = new Float64Array(inner);
  for (let block = 0; block < outer; block++) {
    const base = block * size * inner;
    if (inner === 1) {
      target[block] = reduceRow(source, base, base + size, start, op);
      continue;
    }
    accumulated.fill(start);
    for (let i = 0; i < size; i++) accumulateRow(source, base + i * inner, accumulated, op);
    target.set(accumulated, block * inner);
  }
}

function initialValue(op: ReduceOp, integers: boolean): number {
  if (op === 'sum') return 0;
  if (op === 'max') return integers ? -(2 ** 31) : -Infinity;
  return integers ? 2 ** 31 - 1 : Infinity;
}

function reduceRow(source: NumericArray, from: number, to: number, start: number, op: ReduceOp): number {
  let value = start;
  if (op === 'sum') for (let i = from; i < to; i++) value += source[i];
  else if (op === 'max') for (let i = from; i < to; i++) value = Math.max(value, source[i]);
  else for (let i = from; i < to; i++) value = Math.min(value, source[i]);
  return value;
}

function accumulateRow(source: NumericArray, from: number, accumulated: Float64Array, op: ReduceOp): void {
  const n = accumulated.length;
  if (op === 'sum') for (let j = 0; j < n; j++) accumulated[j] += source[from + j];
  else if (op === 'max') for (let j = 0; j < n; j++) accumulated[j] = Math.max(accumulated[j], source[from + j]);
  else for (let j = 0; j < n; j++) accumulated[j] = Math.min(accumulated[j], source[from + j]);
}

/** NaN is the extreme only of nothing else. */
export function argReduce(
  { x }: ViewInputs<'argReduce'>,
  { out }: ViewOutputs<'argReduce'>,
  { outer, size, inner, op }: KernelAttributes<'argReduce'>,
): void {
  const source = elements(x);
  const target = int32s(out);
  for (let block = 0; block < outer; block++) {
    for (let j = 0; j < inner; j++) {
      const base = block * size * inner + j;
      let best = 0;
      for (let i = 1; i < size; i++) {
        const candidate = source[base + i * inner];
        const current = source[base + best * inner];
        if (op === 'max' ? candidate > current : candidate < current) best = i;
        else if (current !== current && candidate === candidate) best = i;
      }
      target[block * inner + j] = best;
    }
  }
}

/** Each partial sum is rounded to the storage, so that the result is the same to the bit on every backend. */
export function cumsum({ x }: ViewInputs<'cumsum'>, { out }: ViewOutputs<'cumsum'>, { exclusive }: KernelAttributes<'cumsum'>): void {
  const source = elements(x);
  const target = elements(out);
  const n = x.shape[x.shape.length - 1];
  for (let from = 0; n > 0 && from < source.length; from += n) {
    if (exclusive) {
      target[from] = 0;
      for (let i = from + 1; i < from + n; i++) target[i] = target[i - 1] + source[i - 1];
    } else {
      target[from] = source[from];
      for (let i = from + 1; i < from + n; i++) target[i] = target[i - 1] + source[i];
    }
  }
}

export function bincount({ x }: ViewInputs<'bincount'>, { out }: ViewOutputs<'bincount'>): void {
  const values = int32s(x);
  const counts = int32s(out).fill(0);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value >= 0 && value < counts.length) counts[value]++;
  }
}

export function sumSquares({ parts }: ViewInputs<'sumSquares'>, { out }: ViewOutputs<'sumSquares'>): void {
  let [even, odd] = [0, 0]; // two chains hide the latency of the addition
  for (const part of parts) {
    const source = floats(part);
    const paired = source.length & ~1;
    for (let i = 0; i < paired; i += 2) {
      even += source[i] * source[i];
      odd += source[i + 1] * source[i + 1];
    }
    if (paired < source.length) even += source[paired] * source[paired];
  }
  floats(out)[0] = even + odd;
}
