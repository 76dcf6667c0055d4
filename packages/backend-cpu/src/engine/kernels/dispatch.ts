// dispatchClaims on the compiled kernels: linear, but for the order by score of the claims that may be kept. Where none is dropped nothing is ordered,
// and all threads plan.
import type { KernelInputs, KernelOutputs, Kernels } from '@xmoe/core';
import { int32s } from '../../storage.js';
import type { WasmRuntime } from '../runtime.js';
import { grainOf } from './grain.js';
import { sortWords } from './sorting.js';

/** Of placing a claim: counts and rows lie anywhere. */
const OPERATIONS = 4;

export function createDispatch(runtime: WasmRuntime): Pick<Kernels, 'dispatchClaims'> {
  const { pointer } = runtime;
  return {
    dispatchClaims(inputs, outputs, { dispatch, rankOnly }) {
      if (dispatch === 'grouped') return placeAll(runtime, inputs, outputs);
      const { expertIds, scores } = inputs;
      const { rowClaim, rowToken, claimRow, offsets, wanted, load } = outputs;
      const [T, K] = expertIds.shape;
      const [R, N] = [rowClaim.shape[0], load.shape[0]];
      const ids = pointer(expertIds);
      const ranks = runtime.scratchInts(K);
      runtime.call('countClaims', ids, T, K, N, pointer(wanted), ranks.byteOffset);
      const taken = dispatch === 'budget' ? ranksWithin(ranks, R) : K;
      const size = 4 * int32s(wanted).reduce((sum, count) => sum + count, 0);
      const claims = [runtime.scratch(size), runtime.scratch(size)] as const;
      const words = rankOnly ? null : ([runtime.scratch(size), runtime.scratch(size)] as const);
      let count = runtime.call('collectClaims', ids, pointer(scores), T, K, N, taken, claims[0], words ? words[0] : 0);
      const byScore = words ? sortWords(runtime, words, claims, count) : claims[0];
      const ordered = byScore === claims[0] ? claims[1] : claims[0];
      runtime.call('orderByRank', byScore, count, K, ranks.byteOffset, ordered);
      if (dispatch === 'budget') count = Math.min(count, R);
      runtime.call(
        'placeClaims', ordered, count, ids, T, K, N, R, dispatch === 'padded' ? Math.floor(R / Math.max(1, N)) : -1,
        pointer(rowClaim), pointer(rowToken), pointer(claimRow), pointer(offsets), pointer(load),
      );
    },
  };
}

/** Every claim has a row: chunks of tokens are counted, and then know where each expert's rows of theirs begin. */
function placeAll(runtime: WasmRuntime, { expertIds }: KernelInputs<'dispatchClaims'>, { rowClaim, rowToken, claimRow, offsets, wanted, load }: KernelOutputs<'dispatchClaims'>): void {
  const { pointer } = runtime;
  const [T, K] = expertIds.shape;
  const N = load.shape[0];
  const chunks = Math.max(1, Math.min(runtime.threads, Math.floor(T / grainOf(OPERATIONS * K))));
  const size = Math.ceil(T / chunks);
  const counts = runtime.scratch(4 * chunks * N);
  runtime.parallel('countChunks', chunks, 1, [pointer(expertIds), T, K, N, size, counts]);
  runtime.call('startsOfChunks', counts, chunks, N, pointer(offsets), pointer(wanted), pointer(load));
  runtime.parallel('placeChunks', chunks, 1, [pointer(expertIds), T, K, N, size, counts, pointer(rowClaim), pointer(rowToken), pointer(claimRow)]);
  const placed = int32s(offsets)[N];
  for (const rows of [rowClaim, rowToken]) int32s(rows).fill(-1, placed);
}

/** How many ranks have the `budget` best claims: those of later ones are not kept, whatever their score. */
function ranksWithin(ranks: Int32Array, budget: number): number {
  let claims = 0;
  for (let rank = 0; rank < ranks.length; rank++) {
    if (claims >= budget) return rank;
    claims += ranks[rank];
  }
  return ranks.length;
}
