// dispatchClaims on the compiled kernels: linear, but for the order by score of the claims that may be kept.
import type { Kernels } from '@xmoe/core';
import { int32s } from '../../storage.js';
import type { WasmRuntime } from '../runtime.js';
import { sortWords } from './sorting.js';

export function createDispatch(runtime: WasmRuntime): Pick<Kernels, 'dispatchClaims'> {
  const { pointer } = runtime;
  return {
    dispatchClaims({ expertIds, scores }, { rowClaim, rowToken, claimRow, offsets, wanted, load }, { dispatch, rankOnly }) {
      const [T, K] = expertIds.shape;
      const [R, N] = [rowClaim.shape[0], load.shape[0]];
      const ids = pointer(expertIds);
      const ranks = runtime.scratchInts(K);
      runtime.call('countClaims', ids, T, K, N, pointer(wanted), ranks.byteOffset);
      const taken = dispatch === 'budget' ? ranksWithin(ranks, R) : K;
      const size = 4 * int32s(wanted).reduce((sum, count) => sum + count, 0);
      const claims = [runtime.scratch(size), runtime.scratch(size)] as const;
      const sorted = dispatch !== 'grouped' && !rankOnly;
      const words = sorted ? ([runtime.scratch(size), runtime.scratch(size)] as const) : null;
      let count = runtime.call('collectClaims', ids, pointer(scores), T, K, N, taken, claims[0], words ? words[0] : 0);
      let ordered = words ? sortWords(runtime, words, claims, count) : claims[0];
      if (dispatch !== 'grouped') {
        const byRank = ordered === claims[0] ? claims[1] : claims[0];
        runtime.call('orderByRank', ordered, count, K, ranks.byteOffset, byRank);
        ordered = byRank;
      }
      if (dispatch === 'budget') count = Math.min(count, R);
      runtime.call(
        'placeClaims', ordered, count, ids, T, K, N, R, dispatch === 'padded' ? Math.floor(R / Math.max(1, N)) : -1,
        pointer(rowClaim), pointer(rowToken), pointer(claimRow), pointer(offsets), pointer(load),
      );
    },
  };
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
