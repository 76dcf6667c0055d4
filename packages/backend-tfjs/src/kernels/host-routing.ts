// thresholdSelect and combineExperts with its gradient on the host.
import type { FusedKernels } from '@xmoe/core';
import type { Memory } from '../memory.js';
import { largestOfRow } from './host-sorting.js';

export function hostRouting(memory: Memory): Pick<FusedKernels, 'thresholdSelect' | 'combineExperts' | 'combineExpertsGrad'> {
  return {
    thresholdSelect: (p, values, indices, counts, { threshold }) =>
      memory.run([values, indices, counts], [p], ([sorted, order, wanted], [source]) => {
        const [T, N] = p.shape;
        const limit = Math.fround(threshold);
        for (let t = 0, row = 0; t < T; t++, row += N) {
          largestOfRow(source, row, N, N, order, row);
          let mass = 0;
          let m = 0;
          for (let j = 0; j < N; j++) {
            const value = source[row + order[row + j]];
            sorted[row + j] = value;
            // Algorithm 1: expert j is taken while the mass before it is below t. Float32 sums, so all backends agree.
            if (j === m && (j === 0 || mass < limit)) m++;
            mass = Math.fround(mass + value);
          }
          wanted[t] = threshold >= 1 ? N : m;
        }
      }),
    combineExperts: (expertOut, weights, claimRow, _rowClaim, out) =>
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
    combineExpertsGrad: (expertOut, weights, _claimRow, rowClaim, dy, dExpertOut, dWeights) =>
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
