// The kernels of mixture-of-experts routing on the compiled ones: topK, thresholdSelect, combineExperts and its gradient.
import { type Kernels } from '@xmoe/core';
import { massToReach } from '@xmoe/core/backend';
import { floats, int32s } from '../../storage.js';
import type { WasmRuntime } from '../runtime.js';
import { grainOf } from './grain.js';

/** RANKED_COLUMNS of assembly/routing.ts: the most to sort by counting, which costs N² / 4 comparisons. */
const RANKED_COLUMNS = 256;
/** What fits in a thread's scratch beside a table of counters, at 16 bytes each: see assembly/wide-rows.ts. */
const MOST_COLUMNS = 65_000;
/** INSERTED of assembly/routing.ts: so few choices take any number of columns. */
const FEW_CHOICES = 16;

/** Simple operations per row of choosing k of C. */
function costOf(C: number, k: number): number {
  if (k <= FEW_CHOICES) return 2 * C;
  return C <= RANKED_COLUMNS ? (C * C) / 4 : 8 * C + 16 * k;
}

type RoutingKernels = Pick<Kernels, 'topK' | 'thresholdSelect' | 'combineExperts' | 'combineExpertsGrad'>;

export function createRouting(runtime: WasmRuntime, plain: Kernels): RoutingKernels {
  const { pointer } = runtime;
  return {
    topK({ x }, { values, indices }) {
      const [R, C] = x.shape;
      const k = indices.shape[1];
      if (C > MOST_COLUMNS && k > FEW_CHOICES) return plain.topK({ x }, { values, indices });
      if (k === 0) return;
      runtime.parallel('topK', R, grainOf(costOf(C, k)), [pointer(x), pointer(values), pointer(indices), C, k]);
    },
    thresholdSelect({ p, mask, threshold }, { values, indices, counts }, attributes) {
      const [T, K] = indices.shape;
      const N = p.shape[1];
      if (N > MOST_COLUMNS && K > FEW_CHOICES) return plain.thresholdSelect({ p, mask, threshold }, { values, indices, counts }, attributes);
      if (K === 0) return void int32s(counts).fill(0);
      const limit = massToReach(threshold ? floats(threshold)[0]! : attributes.threshold, N);
      runtime.parallel('thresholdSelect', T, grainOf(costOf(N, K) + 4 * K), [
        pointer(p), mask === null ? 0 : pointer(mask), pointer(values), pointer(indices), pointer(counts), N, K, limit === Infinity ? 0 : limit, Number(limit === Infinity),
      ]);
    },
    combineExperts({ expertOut, weights, claimRow }, { out }) {
      const [T, D] = out.shape;
      const K = weights.shape[1];
      runtime.parallel('combineExperts', T, grainOf(K * (D + 2)), [
        pointer(expertOut), pointer(weights), pointer(claimRow), pointer(out), D, K,
      ]);
    },
    combineExpertsGrad({ expertOut, weights, claimRow, rowClaim, dy }, { dExpertOut, dWeights }) {
      const [R, D] = expertOut.shape;
      const [T, K] = weights.shape;
      runtime.parallel('combineExpertsRowGrad', R, grainOf(D), [
        pointer(weights), pointer(rowClaim), pointer(dy), pointer(dExpertOut), D, K,
      ]);
      runtime.parallel('combineExpertsWeightGrad', T, grainOf(K * (D + 2)), [
        pointer(expertOut), pointer(claimRow), pointer(dy), pointer(dWeights), D, K,
      ]);
    },
  };
}
