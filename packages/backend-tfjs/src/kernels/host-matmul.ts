// matmul and the grouped matmuls on the host, for the cpu build: register-blocked dot products over packed rows.
// The wasm build replaces these (wasm-matmul.ts).
import type { RequiredKernels } from '@xmoe/core';
import type { HostArray } from '../box.js';
import type { Memory } from '../memory.js';

/** A matrix inside an array: element [i, j] is at start + i·row + j·column. */
interface Matrix {
  readonly data: HostArray;
  readonly start: number;
  readonly row: number;
  readonly column: number;
}

/** Rows of `m` made contiguous (length K each), so that the inner loop walks memory. */
function packRows(m: Matrix, rows: number, K: number): { data: HostArray; start: number } {
  if (m.column === 1 && m.row === K) return { data: m.data, start: m.start };
  const packed = new Float32Array(rows * K);
  for (let k = 0; k < K; k++) {
    for (let i = 0, from = m.start + k * m.column; i < rows; i++, from += m.row) packed[i * K + k] = m.data[from];
  }
  return { data: packed, start: 0 };
}

/** out[outStart + i·N + j] = Σ_k a[i, k]·b[k, j]; two rows by two columns at a time. */
function gemm(a: Matrix, b: Matrix, out: HostArray, outStart: number, M: number, K: number, N: number): void {
  const { data: left, start: leftStart } = packRows(a, M, K);
  const { data: right, start: rightStart } = packRows({ ...b, row: b.column, column: b.row }, N, K);
  for (let i = 0; i < M; i += 2) {
    const a0 = leftStart + i * K;
    const a1 = i + 1 < M ? a0 + K : a0;
    for (let j = 0; j < N; j += 2) {
      const b0 = rightStart + j * K;
      const b1 = j + 1 < N ? b0 + K : b0;
      let [s00, s01, s10, s11] = [0, 0, 0, 0];
      for (let k = 0; k < K; k++) {
        const [x0, x1, y0, y1] = [left[a0 + k], left[a1 + k], right[b0 + k], right[b1 + k]];
        s00 += x0 * y0;
        s01 += x0 * y1;
        s10 += x1 * y0;
        s11 += x1 * y1;
      }
      const at = outStart + i * N + j;
      out[at] = s00;
      if (j + 1 < N) out[at + 1] = s01;
      if (i + 1 < M) out[at + N] = s10;
      if (i + 1 < M && j + 1 < N) out[at + N + 1] = s11;
    }
  }
}

/** A [rows, columns] matrix stored as such, or transposed as [columns, rows]. */
function matrix(data: HostArray, start: number, rows: number, columns: number, transposed: boolean): Matrix {
  return transposed ? { data, start, row: 1, column: rows } : { data, start, row: columns, column: 1 };
}

export function hostMatmul(memory: Memory): Pick<RequiredKernels, 'matmul' | 'groupedMatmul' | 'groupedMatmulWeightGrad'> {
  return {
    matmul: ({ a, b }, { out }, { transposeA, transposeB }) =>
      memory.run([out], [a, b], ([z], [x, y]) => {
        const [B, M, N] = out.shape;
        const K = a.shape[transposeA ? 1 : 2];
        const bStep = b.shape[0] === 1 ? 0 : K * N;
        for (let i = 0; i < B; i++) {
          gemm(matrix(x, i * M * K, M, K, transposeA), matrix(y, i * bStep, K, N, transposeB), z, i * M * N, M, K, N);
        }
      }),
    groupedMatmul: ({ x, w, offsets }, { out }, { transposeW }) =>
      memory.run([out], [x, w, offsets], ([z], [rows, weights, at]) => {
        const K = x.shape[1];
        const M = out.shape[1];
        for (let g = 0; g + 1 < at.length; g++) {
          const n = at[g + 1] - at[g];
          gemm(matrix(rows, at[g] * K, n, K, false), matrix(weights, g * K * M, K, M, transposeW), z, at[g] * M, n, K, M);
        }
        z.fill(0, at[at.length - 1] * M);
      }),
    groupedMatmulWeightGrad: ({ x, dy, offsets }, { out }) =>
      memory.run([out], [x, dy, offsets], ([z], [rows, upstream, at]) => {
        const [G, K, M] = out.shape;
        for (let g = 0; g < G; g++) {
          const n = at[g + 1] - at[g];
          gemm(matrix(rows, at[g] * K, K, n, true), matrix(upstream, at[g] * M, n, M, false), z, g * K * M, K, n, M);
        }
      }),
  };
}
