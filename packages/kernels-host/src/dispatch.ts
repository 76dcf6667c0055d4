// dispatchClaims: which claims keep a row, and which row. Claims are sorted once by expert and once more by priority where
// that decides; the rest is counting.
import type { KernelAttributes } from '@xmoe/core';
import { floats, int32s, type FloatArray, type ViewInputs, type ViewOutputs } from './host-view.js';
import { argsort } from './sorting.js';

export function dispatchClaims(
  { expertIds, scores }: ViewInputs<'dispatchClaims'>,
  { rowClaim, rowToken, claimRow, offsets, wanted, load }: ViewOutputs<'dispatchClaims'>,
  { dispatch, rankOnly }: KernelAttributes<'dispatchClaims'>,
): void {
  const [ids, p] = [int32s(expertIds), floats(scores)];
  const [owners, tokens, rows, bounds, wants, kept] = [rowClaim, rowToken, claimRow, offsets, wanted, load].map(int32s);
  const K = expertIds.shape[1];
  const N = kept.length;
  const R = owners.length;
  const claims = usedClaims(ids, N);
  count(claims, ids, wants);
  const ordered = dispatch === 'grouped' ? claims : byPriority(claims, K, rankOnly ? undefined : p);
  const admitted = byExpert(dispatch === 'budget' ? ordered.subarray(0, R) : ordered, ids, N);
  owners.fill(-1);
  tokens.fill(-1);
  rows.fill(-1);
  kept.fill(0);
  const capacity = dispatch === 'padded' ? Math.floor(R / Math.max(1, N)) : Infinity;
  let used = 0;
  for (const claim of admitted) {
    const expert = ids[claim];
    if (kept[expert] === capacity) continue;
    const row = dispatch === 'padded' ? expert * capacity + kept[expert] : used++;
    kept[expert]++;
    owners[row] = claim;
    tokens[row] = Math.floor(claim / K);
    rows[claim] = row;
  }
  bounds[0] = 0;
  for (let expert = 0; expert < N; expert++) bounds[expert + 1] = bounds[expert] + (dispatch === 'padded' ? capacity : kept[expert]);
}

/** The claims whose id is that of an expert, ascending. */
function usedClaims(ids: Int32Array, N: number): Int32Array {
  const claims = new Int32Array(ids.length);
  let used = 0;
  for (let claim = 0; claim < ids.length; claim++) if (ids[claim] >= 0 && ids[claim] < N) claims[used++] = claim;
  return claims.subarray(0, used);
}

function count(claims: Int32Array, ids: Int32Array, counts: Int32Array): void {
  counts.fill(0);
  for (const claim of claims) counts[ids[claim]]++;
}

/** By rank, then falling score if there are scores, then claim. */
function byPriority(claims: Int32Array, K: number, scores: FloatArray | undefined): Int32Array {
  const byScore = scores === undefined ? claims : permuted(claims, argsort(negatives(claims, scores)));
  return permuted(byScore, argsort(byScore.map((claim) => claim % K)));
}

function negatives(claims: Int32Array, scores: FloatArray): FloatArray {
  const keys = scores instanceof Float64Array ? new Float64Array(claims.length) : new Float32Array(claims.length);
  for (let i = 0; i < claims.length; i++) keys[i] = -scores[claims[i]];
  return keys;
}

function permuted(claims: Int32Array, order: Int32Array): Int32Array {
  return order.map((from) => claims[from]);
}

/** A stable counting sort. */
function byExpert(claims: Int32Array, ids: Int32Array, N: number): Int32Array {
  const next = new Int32Array(N + 1);
  for (const claim of claims) next[ids[claim] + 1]++;
  for (let expert = 0; expert < N; expert++) next[expert + 1] += next[expert];
  const sorted = new Int32Array(claims.length);
  for (const claim of claims) sorted[next[ids[claim]]++] = claim;
  return sorted;
}
