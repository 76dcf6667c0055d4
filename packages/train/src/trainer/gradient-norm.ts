// The norm of gradients of which ranks hold parts, with the same bits however they are spread: sums of squares in float64, entry by entry of the
// first axis, added in the order of the whole.
import type { ParameterSpec } from '@xmoe/core';
import type { Comm } from '@xmoe/distributed';

/** √Σg² over all of `specs`, rounded to float32, where the group `experts` holds the parts of those that are spread. Called by the whole group. */
export async function gradientNorm(specs: readonly ParameterSpec[], gradients: ReadonlyMap<string, Float32Array>, experts: Comm): Promise<number> {
  let sum = 0;
  for (const { name, shape, part } of specs) {
    const own = squaresByEntry(gradients.get(name)!, shape[0] ?? 1);
    const all = part ? await gatherEntries(own, part, experts) : own;
    sum += all.reduce((total, square) => total + square, 0);
  }
  return Math.fround(Math.sqrt(sum));
}

function squaresByEntry(values: Float32Array, entries: number): Float64Array {
  const squares = new Float64Array(entries);
  const length = values.length / Math.max(1, entries);
  for (let entry = 0; entry < entries; entry++) {
    let sum = 0;
    for (let index = entry * length; index < (entry + 1) * length; index++) sum += values[index]! * values[index]!;
    squares[entry] = sum;
  }
  return squares;
}

async function gatherEntries(own: Float64Array, { begin, of }: NonNullable<ParameterSpec['part']>, experts: Comm): Promise<Float64Array> {
  const all = new Float64Array(of);
  all.set(own, begin);
  await experts.allReduce(all, 'sum'); // of zeros and one number each: exact
  return all;
}
