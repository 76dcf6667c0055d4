// topK and sortByKey on the host, and the row sort that threshold selection shares. Ties go to the lowest index.
import { type RequiredKernels } from '@xmoe/core';
import { stableArgsort } from '@xmoe/core/backend';
import type { HostArray } from '../box.js';
import type { Memory } from '../memory.js';

/** Beyond this many choices per row a full sort beats insertion. */
const INSERTION_LIMIT = 96;

/** Whether `a` must come before an earlier `b` in descending order: NaN comes last. */
function isBefore(a: number, b: number): boolean {
  return a > b || (b !== b && a === a);
}

/** The `k` largest of x[start … start + C), descending, lowest index first among equals, NaN last, into order[at … at + k). */
export function largestOfRow(x: HostArray, start: number, C: number, k: number, order: HostArray, at: number): void {
  if (k > INSERTION_LIMIT) {
    const all = Int32Array.from({ length: C }, (_, i) => i).sort((i, j) => (isBefore(x[start + i], x[start + j]) ? -1 : isBefore(x[start + j], x[start + i]) ? 1 : i - j));
    order.set(all.subarray(0, k), at);
    return;
  }
  let filled = 0;
  for (let i = 0; i < C; i++) {
    const value = x[start + i];
    if (filled === k && !isBefore(value, x[start + order[at + k - 1]])) continue;
    let slot = filled < k ? filled++ : k - 1;
    // Strictly greater moves ahead; an equal value that came later stays behind.
    while (slot > 0 && isBefore(value, x[start + order[at + slot - 1]])) {
      order[at + slot] = order[at + slot - 1];
      slot--;
    }
    order[at + slot] = i;
  }
}

/** Keys within a range not much larger than their number: expert ids, token ids. Linear time. */
function countingSort(keys: HostArray, permutation: HostArray, low: number, range: number): void {
  const next = new Int32Array(range + 1);
  for (let i = 0; i < keys.length; i++) next[keys[i] - low + 1]++;
  for (let bin = 0; bin < range; bin++) next[bin + 1] += next[bin];
  for (let i = 0; i < keys.length; i++) permutation[next[keys[i] - low]++] = i;
}

function argsort(keys: HostArray, permutation: HostArray): void {
  const n = keys.length;
  if (keys instanceof Int32Array && n > 0) {
    let low = keys[0];
    let high = keys[0];
    for (let i = 1; i < n; i++) {
      if (keys[i] < low) low = keys[i];
      else if (keys[i] > high) high = keys[i];
    }
    if (high - low < 4 * n + 1024) return countingSort(keys, permutation, low, high - low + 1);
  }
  stableArgsort(keys as Float32Array | Int32Array, permutation as Int32Array);
}

export function hostSorting(memory: Memory): Pick<RequiredKernels, 'topK' | 'sortByKey'> {
  return {
    topK: ({ x }, { values, indices }) =>
      memory.run([values, indices], [x], ([best, order], [source]) => {
        const [R, C] = x.shape;
        const k = values.shape[1];
        if (k === 0) return;
        for (let r = 0; r < R; r++) {
          largestOfRow(source, r * C, C, k, order, r * k);
          for (let j = r * k; j < (r + 1) * k; j++) best[j] = source[r * C + order[j]];
        }
      }),
    sortByKey: ({ keys }, { permutation }) => memory.run([permutation], [keys], ([order], [source]) => argsort(source, order)),
  };
}
