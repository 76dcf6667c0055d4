// The exact balanced assignment by the Hungarian method (Kuhn 1955, shortest augmenting paths), O(T³): what tests and
// reports measure the auction against. Not for training.
import { requireFinite, requireInteger, requireOptions } from '@xmoe/core';
import { requireLength } from './checks.js';
import { type Mask, readMask } from './logits.js';

/**
 * The assignment of real tokens to experts, ⌊T/N⌋ or ⌈T/N⌉ each, with the largest summed logits.
 * @param logits [T, N], row-major, finite
 * @returns the expert of each token [T]; −1 for padding tokens
 * @throws XMoEError on bad sizes and a logit that is not finite: the search would not end
 */
export function optimalAssign(logits: ArrayLike<number>, T: number, N: number, options: { mask?: Mask } = {}): Int32Array {
  requireInteger('optimalAssign', 'T', T, 0);
  requireInteger('optimalAssign', 'N', N, 1);
  requireOptions('optimalAssign', options);
  requireLength('optimalAssign', logits, T * N);
  const mask = readMask(options.mask, T);
  const rows = Int32Array.from(mask.keys()).filter((token) => mask[token] === 1);
  const places = Math.ceil(rows.length / N); // per expert
  let spread = 1;
  for (let index = 0; index < T * N; index++) spread = Math.max(spread, Math.abs(requireFinite('optimalAssign', `logits[${Math.floor(index / N)}][${index % N}]`, logits[index])));
  const unit = spread > 1e100 ? spread : 1; // sums of huge logits stay finite
  const forbidden = 4 * (spread / unit) * (places * N + 1); // more than any difference of two assignments
  // Column c is place ⌊c/N⌋ of expert c mod N. Dummy rows fill the surplus, one per expert at most: last places only.
  const cost = (row: number, column: number): number => {
    if (row < rows.length) return -logits[rows[row] * N + (column % N)] / unit;
    return column >= (places - 1) * N ? 0 : forbidden;
  };
  const columnOfRow = solveAssignment(places * N, cost);
  const assigned = new Int32Array(T).fill(-1);
  rows.forEach((token, row) => (assigned[token] = columnOfRow[row] % N));
  return assigned;
}

/** The column of each row in the cheapest perfect matching of a square cost matrix. */
function solveAssignment(size: number, cost: (row: number, column: number) => number): Int32Array {
  const rowPotential = new Float64Array(size);
  const columnPotential = new Float64Array(size);
  const rowOfColumn = new Int32Array(size).fill(-1);
  for (let row = 0; row < size; row++) {
    const slack = new Float64Array(size).fill(Infinity);
    const cameFrom = new Int32Array(size).fill(-1);
    const done = new Uint8Array(size);
    let column = -1; // −1: the path starts at `row` itself
    let current = row;
    do {
      let [delta, next] = [Infinity, -1];
      for (let j = 0; j < size; j++) {
        if (done[j] === 1) continue;
        const reduced = cost(current, j) - rowPotential[current] - columnPotential[j];
        if (reduced < slack[j]) {
          slack[j] = reduced;
          cameFrom[j] = column;
        }
        if (slack[j] < delta) [delta, next] = [slack[j], j];
      }
      rowPotential[row] += delta;
      for (let j = 0; j < size; j++) {
        if (done[j] === 0) slack[j] -= delta;
        else {
          rowPotential[rowOfColumn[j]] += delta;
          columnPotential[j] -= delta;
        }
      }
      done[next] = 1;
      column = next;
      current = rowOfColumn[column];
    } while (current !== -1);
    for (let j = column; j !== -1; j = cameFrom[j]) rowOfColumn[j] = cameFrom[j] === -1 ? row : rowOfColumn[cameFrom[j]];
  }
  const columnOfRow = new Int32Array(size);
  rowOfColumn.forEach((row, column) => (columnOfRow[row] = column));
  return columnOfRow;
}
