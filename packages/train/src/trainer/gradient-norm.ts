// The norm of gradients of which ranks hold parts, with the same bits however they are spread: sums of squares in float64, entry by entry of the
// first axis, added in the order of the whole.
import { wholeOf, type ParameterSpec } from '@xmoe/core';
import type { Comm } from '@xmoe/distributed';

export interface GradientNorm {
  /** Takes what this rank knows of a gradient: all entries of the first axis of the whole from `first` on that are in `values`. */
  add(name: string, values: Float32Array, first: number): void;
  /** √Σg², rounded to float32. Called by all ranks that know of each other's entries: of those in `spread` each is with one of them, of others all are here. */
  result(comm: Comm, isSpread: (spec: ParameterSpec) => boolean): Promise<number>;
}

/** Of all of `specs`. */
export function createGradientNorm(specs: readonly ParameterSpec[]): GradientNorm {
  const squares = new Map(specs.map((spec) => [spec.name, new Float64Array(wholeOf(spec).shape[0] ?? 1)]));
  const perEntry = new Map(specs.map(({ name, shape }) => [name, shape.slice(1).reduce((product, extent) => product * extent, 1)]));
  return {
    add(name, values, first) {
      const [into, length] = [squares.get(name)!, perEntry.get(name)!];
      for (let begin = 0, entry = first; begin < values.length; begin += length, entry++) into[entry] = sumOfSquares(values, begin, begin + length);
    },
    async result(comm, isSpread) {
      await gatherEntries(comm, specs.filter(isSpread).map(({ name }) => squares.get(name)!));
      let sum = 0;
      for (const entries of squares.values()) sum += entries.reduce((total, square) => total + square, 0);
      return Math.fround(Math.sqrt(sum));
    },
  };
}

function sumOfSquares(values: Float32Array, begin: number, end: number): number {
  let sum = 0;
  for (let index = begin; index < end; index++) sum += values[index]! * values[index]!;
  return sum;
}

/** Those of all ranks in place of the zeros of one. */
async function gatherEntries(comm: Comm, squares: readonly Float64Array[]): Promise<void> {
  if (comm.size === 1 || squares.length === 0) return;
  const all = new Float64Array(squares.reduce((length, entries) => length + entries.length, 0));
  let at = 0;
  for (const entries of squares) all.set(entries, (at += entries.length) - entries.length);
  await comm.allReduce(all, 'sum'); // of zeros and one number each: exact
  at = 0;
  for (const entries of squares) entries.set(all.subarray(at, (at += entries.length)));
}
