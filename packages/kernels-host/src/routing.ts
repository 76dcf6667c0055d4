// Kernels of mixture-of-experts routing: thresholdSelect, combineExperts and its gradient.
import { countToReach, massToReach, type KernelAttributes } from '@xmoe/core/backend';
import { bools, floats, int32s, type ViewInputs, type ViewOutputs } from './host-view.js';
import { topK } from './sorting.js';

/** XMoE, Algorithm 1. */
export function thresholdSelect(
  { p, mask, threshold: onDevice }: ViewInputs<'thresholdSelect'>,
  { values, indices, counts }: ViewOutputs<'thresholdSelect'>,
  { threshold }: KernelAttributes<'thresholdSelect'>,
): void {
  const [sorted, order, count] = [floats(values), int32s(indices), int32s(counts)];
  const real = mask === null ? undefined : bools(mask);
  const [T, K] = indices.shape;
  const N = p.shape[1];
  const limit = massToReach(onDevice ? floats(onDevice)[0] : threshold, N);
  topK({ x: p }, { values, indices });
  for (let token = 0; token < T; token++) {
    const base = token * K;
    const wanted = real?.[token] === 0 ? 0 : countToReach(sorted, base, base + Math.min(K, N), limit);
    count[token] = wanted;
    sorted.fill(0, base + wanted, base + K);
    order.fill(-1, base + wanted, base + K);
  }
}

export function combineExperts({ expertOut, weights, claimRow }: ViewInputs<'combineExperts'>, { out }: ViewOutputs<'combineExperts'>): void {
  const [rows, factors, claims, target] = [floats(expertOut), floats(weights), int32s(claimRow), floats(out)];
  const [T, D] = out.shape;
  const K = weights.shape[1];
  const sums = new Float64Array(D);
  for (let token = 0; token < T; token++) {
    sums.fill(0);
    for (let claim = token * K; claim < (token + 1) * K; claim++) {
      const from = claims[claim] * D;
      const weight = factors[claim];
      if (from >= 0) for (let j = 0; j < D; j++) sums[j] += weight * rows[from + j];
    }
    for (let j = 0; j < D; j++) target[token * D + j] = sums[j];
  }
}

export function combineExpertsGrad(
  { expertOut, weights, rowClaim, dy }: ViewInputs<'combineExpertsGrad'>,
  { dExpertOut, dWeights }: ViewOutputs<'combineExpertsGrad'>,
): void {
  const [rows, factors, upstream] = [floats(expertOut), floats(weights), floats(dy)];
  const [owners, rowGrad, weightGrad] = [int32s(rowClaim), floats(dExpertOut), floats(dWeights)];
  const [R, D] = expertOut.shape;
  const K = weights.shape[1];
  weightGrad.fill(0);
  for (let row = 0, at = 0; row < R; row++, at += D) {
    const claim = owners[row];
    if (claim < 0) {
      rowGrad.fill(0, at, at + D);
      continue;
    }
    const from = Math.floor(claim / K) * D;
    const factor = factors[claim];
    let dot = 0;
    for (let j = 0; j < D; j++) {
      rowGrad[at + j] = factor * upstream[from + j];
      dot += rows[at + j] * upstream[from + j];
    }
    weightGrad[claim] = dot;
  }
}
