// Kernels of mixture-of-experts routing: thresholdSelect, combineExperts and its gradient.
import type { Operand } from '@xmoe/core';
import { bools, floats, int32s } from '../storage.js';
import { topK } from './sorting.js';

/**
 * XMoE, Algorithm 1. In single precision each partial sum and the threshold are rounded to float32, left to right, so that
 * the counts are equal on every backend.
 */
export function thresholdSelect(
  p: Operand, mask: Operand | null, values: Operand, indices: Operand, counts: Operand,
  { threshold }: { threshold: number },
): void {
  const [source, sorted, order, count] = [floats(p), floats(values), int32s(indices), int32s(counts)];
  const real = mask === null ? undefined : bools(mask);
  const [T, K] = indices.shape;
  const N = p.shape[1];
  const round = source instanceof Float32Array ? Math.fround : (value: number): number => value;
  const limit = round(threshold);
  topK(p, values, indices);
  for (let token = 0; token < T; token++) {
    const base = token * K;
    let wanted = real?.[token] === 0 ? 0 : Math.min(K, N);
    let sum = 0;
    for (let j = 0; threshold < 1 && j < wanted; j++) {
      sum = round(sum + sorted[base + j]);
      if (sum >= limit) wanted = j + 1;
    }
    count[token] = wanted;
    sorted.fill(0, base + wanted, base + K);
    order.fill(-1, base + wanted, base + K);
  }
}

export function combineExperts(expertOut: Operand, weights: Operand, claimRow: Operand, _rowClaim: Operand, out: Operand): void {
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
  expertOut: Operand, weights: Operand, claimRow: Operand, rowClaim: Operand, dy: Operand, dExpertOut: Operand, dWeights: Operand,
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
