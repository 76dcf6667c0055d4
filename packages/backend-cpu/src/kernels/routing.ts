// Kernels of mixture-of-experts routing: thresholdSelect, combineExperts and its gradient.
import { type KernelAttributes, type KernelInputs, type KernelOutputs } from '@xmoe/core';
import { countToReach, massToReach } from '@xmoe/core/backend';
import { bools, floats, int32s } from '../storage.js';
import { topK } from './sorting.js';

/** XMoE, Algorithm 1. */
export function thresholdSelect(
  { p, mask }: KernelInputs<'thresholdSelect'>,
  { values, indices, counts }: KernelOutputs<'thresholdSelect'>,
  { threshold }: KernelAttributes<'thresholdSelect'>,
): void {
  const [sorted, order, count] = [floats(values), int32s(indices), int32s(counts)];
  const real = mask === null ? undefined : bools(mask);
  const [T, K] = indices.shape;
  const N = p.shape[1];
  const limit = massToReach(threshold, N);
  topK({ x: p }, { values, indices });
  for (let token = 0; token < T; token++) {
    const base = token * K;
    const wanted = real?.[token] === 0 ? 0 : countToReach(sorted, base, base + Math.min(K, N), limit);
    count[token] = wanted;
    sorted.fill(0, base + wanted, base + K);
    order.fill(-1, base + wanted, base + K);
  }
}

export function combineExperts({ expertOut, weights, claimRow }: KernelInputs<'combineExperts'>, { out }: KernelOutputs<'combineExperts'>): void {
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
  { expertOut, weights, claimRow, rowClaim, dy }: KernelInputs<'combineExpertsGrad'>,
  { dExpertOut, dWeights }: KernelOutputs<'combineExpertsGrad'>,
): void {
  const [rows, factors, upstream] = [floats(expertOut), floats(weights), floats(dy)];
  const [claims, owners, rowGrad, weightGrad] = [int32s(claimRow), int32s(rowClaim), floats(dExpertOut), floats(dWeights)];
  const [R, D] = expertOut.shape;
  const K = weights.shape[1];
  for (let row = 0; row < R; row++) {
    const claim = owners[row];
    if (claim < 0) {
      rowGrad.fill(0, row * D, (row + 1) * D);
      continue;
    }
    const from = Math.floor(claim / K) * D;
    for (let j = 0; j < D; j++) rowGrad[row * D + j] = factors[claim] * upstream[from + j];
  }
  for (let claim = 0; claim < claims.length; claim++) {
    const row = claims[claim];
    const token = Math.floor(claim / K);
    let sum = 0;
    if (row >= 0) for (let j = 0; j < D; j++) sum += rows[row * D + j] * upstream[token * D + j];
    weightGrad[claim] = sum;
  }
}
