// reduce, argReduce and cumsum on the host. Sums accumulate in float64 and round once.
import type { AxisView, ReduceOp, RequiredKernels } from '@xmoe/core';
import type { HostArray } from '../box.js';
import type { Memory } from '../memory.js';

/** What max and min are of nothing. */
function startOf(op: ReduceOp, z: HostArray): number {
  if (op === 'sum') return 0;
  const [low, high] = z instanceof Int32Array ? [-(2 ** 31), 2 ** 31 - 1] : [-Infinity, Infinity];
  return op === 'max' ? low : high;
}

function reduceRows(z: HostArray, x: HostArray, { outer, size }: AxisView, op: ReduceOp): void {
  const start = startOf(op, z);
  for (let row = 0, from = 0; row < outer; row++) {
    const end = from + size;
    if (op === 'sum') {
      let sum = 0;
      for (; from < end; from++) sum += x[from];
      z[row] = sum;
    } else {
      const sign = op === 'max' ? 1 : -1;
      let best = sign * start;
      for (; from < end; from++) {
        const value = sign * x[from];
        if (value > best || value !== value) best = value; // NaN sticks: nothing is greater than it
      }
      z[row] = sign * best;
    }
  }
}

function reduceColumns(z: HostArray, x: HostArray, { outer, size, inner }: AxisView, op: ReduceOp): void {
  const state = new Float64Array(inner);
  for (let block = 0, from = 0; block < outer; block++) {
    state.fill(startOf(op, z));
    for (let row = 0; row < size; row++, from += inner) {
      if (op === 'sum') for (let i = 0; i < inner; i++) state[i] += x[from + i];
      else if (op === 'max') for (let i = 0; i < inner; i++) state[i] = Math.max(state[i], x[from + i]);
      else for (let i = 0; i < inner; i++) state[i] = Math.min(state[i], x[from + i]);
    }
    z.set(state, block * inner);
  }
}

export function hostReduce(memory: Memory): Pick<RequiredKernels, 'reduce' | 'argReduce' | 'cumsum'> {
  return {
    reduce: ({ x }, { out }, view) =>
      memory.run([out], [x], ([z], [source]) => (view.inner === 1 ? reduceRows : reduceColumns)(z, source, view, view.op)),
    argReduce: ({ x }, { out }, { outer, size, inner, op }) =>
      memory.run([out], [x], ([z], [source]) => {
        const sign = op === 'max' ? 1 : -1;
        for (let block = 0; block < outer; block++) {
          for (let column = 0; column < inner; column++) {
            let best = NaN; // as long as there was no number
            let winner = 0;
            for (let i = 0, at = block * size * inner + column; i < size; i++, at += inner) {
              const value = sign * source[at];
              if (value > best || (best !== best && value === value)) {
                best = value;
                winner = i;
              }
            }
            z[block * inner + column] = winner;
          }
        }
      }),
    cumsum: ({ x }, { out }, { exclusive }) =>
      memory.run([out], [x], ([z], [source]) => {
        const n = x.shape[x.shape.length - 1];
        const float = out.dtype === 'float32';
        for (let start = 0; n > 0 && start < z.length; start += n) {
          let sum = 0;
          for (let i = start; i < start + n; i++) {
            const next = float ? Math.fround(sum + source[i]) : (sum + source[i]) | 0;
            z[i] = exclusive ? sum : next;
            sum = next;
          }
        }
      }),
  };
}
