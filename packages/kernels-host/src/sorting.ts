// Kernels that order: sortByKey and topK, and the stable merge sort that they share.
// NaN comes after every number, in ascending and in descending order. −0 and +0 are equal.
import { stableArgsort } from '@xmoe/core/backend';
import { elements, floats, int32s, type NumericArray, type ViewInputs, type ViewOutputs } from './host-view.js';

export function sortByKey({ keys }: ViewInputs<'sortByKey'>, { permutation }: ViewOutputs<'sortByKey'>): void {
  argsort(elements(keys), int32s(permutation));
}

/** The stable ascending order of the keys into `order`, which it returns. */
export function argsort(keys: NumericArray, order: Int32Array = new Int32Array(keys.length)): Int32Array {
  if (keys instanceof Float64Array) {
    for (let i = 0; i < order.length; i++) order[i] = i;
    sortRow(keys, 0, order, 0, order.length, false);
  } else if (!(keys instanceof Int32Array) || !countingSort(keys, order)) stableArgsort(keys as Float32Array | Int32Array, order);
  return order;
}

/** In linear time, for keys within a range not much larger than their number: expert ids, token ids. False for others. */
function countingSort(keys: Int32Array, order: Int32Array): boolean {
  const n = keys.length;
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < n; i++) {
    if (keys[i] < low) low = keys[i];
    if (keys[i] > high) high = keys[i];
  }
  if (n === 0 || high - low >= 4 * n + 1024) return n === 0;
  const next = new Int32Array(high - low + 2);
  for (let i = 0; i < n; i++) next[keys[i] - low + 1]++;
  for (let bin = 0; bin <= high - low; bin++) next[bin + 1] += next[bin];
  for (let i = 0; i < n; i++) order[next[keys[i] - low]++] = i;
  return true;
}

export function topK({ x }: ViewInputs<'topK'>, { values, indices }: ViewOutputs<'topK'>): void {
  const [source, best, ids] = [floats(x), floats(values), int32s(indices)];
  const [R, C] = x.shape;
  const k = indices.shape[1];
  if (k === 0) return;
  const order = new Int32Array(k > INSERTION_LIMIT ? C : 0);
  for (let row = 0; row < R; row++) {
    if (k <= INSERTION_LIMIT) insertLargest(source, row * C, C, ids, row * k, k);
    else {
      for (let i = 0; i < C; i++) order[i] = i;
      sortRow(source, row * C, order, 0, C, true);
      for (let j = 0; j < k; j++) ids[row * k + j] = order[j];
    }
    for (let j = row * k; j < (row + 1) * k; j++) best[j] = source[row * C + ids[j]];
  }
}

/** Beyond this many choices per row a full sort beats insertion. */
const INSERTION_LIMIT = 96;

/** Keeps the k best so far in order; quick for the few choices of a router. */
function insertLargest(source: NumericArray, base: number, count: number, ids: Int32Array, at: number, k: number): void {
  let filled = 0;
  for (let candidate = 0; candidate < count; candidate++) {
    const value = source[base + candidate];
    if (filled === k && !isBefore(value, source[base + ids[at + k - 1]])) continue;
    let slot = filled < k ? filled++ : k - 1;
    // Strictly greater moves ahead; an equal value that came later stays behind.
    while (slot > 0 && isBefore(value, source[base + ids[at + slot - 1]])) {
      ids[at + slot] = ids[at + slot - 1];
      slot--;
    }
    ids[at + slot] = candidate;
  }
}

/** Whether `a` must come before an earlier `b` in descending order. */
function isBefore(a: number, b: number): boolean {
  return a > b || (b !== b && a === a);
}

let spare = new Int32Array(0);

/**
 * Stable merge sort of order[at … at + n) by keys[base + order[i]]. Insertion sort up to 8, then merging runs.
 */
function sortRow(keys: NumericArray, base: number, order: Int32Array, at: number, n: number, descending: boolean): void {
  if (spare.length < n) spare = new Int32Array(n);
  const before = descending ? isBefore : (a: number, b: number): boolean => a < b || (Number.isNaN(b) && !Number.isNaN(a));
  for (let start = at; start < at + n; start += 8) {
    const end = Math.min(start + 8, at + n);
    for (let i = start + 1; i < end; i++) {
      const id = order[i];
      const key = keys[base + id];
      let j = i;
      for (; j > start && before(key, keys[base + order[j - 1]]); j--) order[j] = order[j - 1];
      order[j] = id;
    }
  }
  for (let width = 8; width < n; width *= 2) {
    for (let low = 0; low + width < n; low += 2 * width) {
      mergeRuns(keys, base, order, at + low, at + low + width, at + Math.min(low + 2 * width, n), before);
    }
  }
}

function mergeRuns(
  keys: NumericArray, base: number, order: Int32Array, low: number, middle: number, high: number,
  before: (a: number, b: number) => boolean,
): void {
  const left = middle - low;
  for (let i = 0; i < left; i++) spare[i] = order[low + i];
  let [i, j, to] = [0, middle, low];
  while (i < left && j < high) {
    order[to++] = before(keys[base + order[j]], keys[base + spare[i]]) ? order[j++] : spare[i++];
  }
  while (i < left) order[to++] = spare[i++];
}
