// thresholdSelect and combineExperts with its gradient on the host.
import { type FusedKernels } from '@xmoe/core';
import { countToReach, massToReach } from '@xmoe/core/backend';
import type { Memory } from '../memory.js';
import { present } from './host-activation.js';
import { largestOfRow } from './host-sorting.js';

export function hostRouting(memory: Memory): Pick<FusedKernels, 'thresholdSelect' | 'combineExperts' | 'combineExpertsGrad'> {
  return {
    thresholdSelect: ({ p, mask }, { values, indices, counts }, { threshold }) =>
      memory.run([values, indices, counts], [p, ...present(mask)], ([sorted, order, wanted], [source, real]) => {
        const [T, K] = indices.shape;
        const N = p.shape[1];
        const limit = massToReach(threshold, N);
        for (let t = 0, row = 0, base = 0; t < T; t++, row += K, base += N) {
          if (K > 0) largestOfRow(source, base, N, K, order, row);
          for (let j = 0; j < K; j++) sorted[row + j] = source[base + order[row + j]];
          const m = real?.[t] === 0 ? 0 : countToReach(sorted, row, row + K, limit);
          sorted.fill(0, row + m, row + K);
          order.fill(-1, row + m, row + K);
          wanted[t] = m;
        }
      }),
    combineExperts: ({ expertOut, weights, claimRow }, { out }) =>
      memory.run([out], [expertOut, weights, claimRow], ([z], [rows, weight, claims]) => {
        const [T, D] = out.shape;
        const K = weights.shape[1];
        const sums = new Float64Array(D);
        for (let t = 0; t < T; t++) {
          sums.fill(0);
          for (let claim = t * K; claim < (t + 1) * K; claim++) {
            const from = claims[claim] * D;
            const factor = weight[claim];
            if (from >= 0) for (let j = 0; j < D; j++) sums[j] += factor * rows[from + j];
          }
          z.set(sums, t * D);
        }
      }),
    combineExpertsGrad: ({ expertOut, weights, rowClaim, dy }, { dExpertOut, dWeights }) =>
      memory.run([dExpertOut, dWeights], [expertOut, weights, rowClaim, dy], ([z, dWeight], [rows, weight, owners, upstream]) => {
        const [R, D] = expertOut.shape;
        const K = weights.shape[1];
        dWeight.fill(0);
        for (let r = 0, at = 0; r < R; r++, at += D) {
          const claim = owners[r];
          if (claim < 0) {
            z.fill(0, at, at + D);
            continue;
          }
          const from = Math.floor(claim / K) * D;
          const factor = weight[claim];
          let dot = 0;
          for (let j = 0; j < D; j++) {
            z[at + j] = factor * upstream[from + j];
            dot += rows[at + j] * upstream[from + j];
          }
          dWeight[claim] = dot;
        }
      }),
  };
}
