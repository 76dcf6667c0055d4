// Matrix products over operands: matmul (batched) and the two of ragged segments. The arithmetic is in gemm.ts.
import type { KernelAttributes } from '@xmoe/core';
import { floats, int32s, type ViewInputs, type ViewOutputs } from './host-view.js';
import { gemm, matrixAt } from './gemm.js';

export function matmul(
  { a, b }: ViewInputs<'matmul'>,
  { out }: ViewOutputs<'matmul'>,
  { transposeA, transposeB }: KernelAttributes<'matmul'>,
): void {
  const [batch, M, N] = out.shape;
  const K = a.shape[transposeA ? 1 : 2];
  const [left, right, target] = [floats(a), floats(b), floats(out)];
  for (let index = 0; index < batch; index++) {
    const sharedB = b.shape[0] === 1 ? 0 : index;
    gemm(
      M, N, K,
      matrixAt(left, index * M * K, M, K, transposeA),
      matrixAt(right, sharedB * K * N, K, N, transposeB),
      matrixAt(target, index * M * N, M, N, false),
    );
  }
}

export function groupedMatmul(
  { x, w, offsets }: ViewInputs<'groupedMatmul'>,
  { out }: ViewOutputs<'groupedMatmul'>,
  { transposeW }: KernelAttributes<'groupedMatmul'>,
): void {
  const [R, M] = out.shape;
  const K = x.shape[1];
  const [rows, weights, target, bounds] = [floats(x), floats(w), floats(out), int32s(offsets)];
  const groups = w.shape[0];
  for (let group = 0; group < groups; group++) {
    const [from, to] = [bounds[group], bounds[group + 1]];
    gemm(
      to - from, M, K,
      matrixAt(rows, from * K, to - from, K, false),
      matrixAt(weights, group * K * M, K, M, transposeW),
      matrixAt(target, from * M, to - from, M, false),
    );
  }
  target.fill(0, bounds[groups] * M, R * M);
}

export function groupedMatmulWeightGrad(
  { x, dy, offsets }: ViewInputs<'groupedMatmulWeightGrad'>,
  { out }: ViewOutputs<'groupedMatmulWeightGrad'>,
): void {
  const [groups, K, M] = out.shape;
  const [rows, gradients, target, bounds] = [floats(x), floats(dy), floats(out), int32s(offsets)];
  for (let group = 0; group < groups; group++) {
    const [from, to] = [bounds[group], bounds[group + 1]];
    gemm(
      K, M, to - from,
      { data: rows, start: from * K, rowStride: 1, columnStride: K },
      matrixAt(gradients, from * M, to - from, M, false),
      matrixAt(target, group * K * M, K, M, false),
    );
  }
}
