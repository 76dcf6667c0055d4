// matmul and the grouped matmuls on the wasm build. Its batched and transposed products run at 1 GFLOP/s against 15 for
// the plain one, so operands are transposed first and batches and segments run one by one on views of the heap.
import { sizeOf, type Operand, type RequiredKernels } from '@xmoe/core';
import type { WasmHeap } from '../wasm-heap.js';
import type { WasmContext } from './wasm-context.js';

// Work space slots of this file (wasm-attention.ts uses 2 and up while it calls nothing here).
const LEFT = 0;
const RIGHT = 1;
const FLOAT = 4; // bytes

/** Gives the address of x [rows, columns] once stored plainly; `transposed`: it is stored as [columns, rows]. */
function plainAddresses(heap: WasmHeap) {
  return (slot: number, address: number, rows: number, columns: number, transposed: boolean): number => {
    if (!transposed || rows === 1 || columns === 1) return address;
    const out = heap.scratch(slot, rows * columns);
    heap.transpose(address, out, columns, rows);
    return out;
  };
}

function weightGradient(context: WasmContext): RequiredKernels['groupedMatmulWeightGrad'] {
  const { heap } = context;
  const plain = plainAddresses(heap);
  return ({ x, dy, offsets }, { out }) => {
    const [G, K, M] = out.shape;
    if (G * K * M === 0) return;
    const target = context.output(out);
    const [rows, upstream, at] = [context.input(x), context.input(dy), context.integers(offsets)];
    for (let g = 0; g < G; g++) {
      const n = at[g + 1] - at[g];
      const part = target + g * K * M * FLOAT;
      if (n === 0) heap.floats(part, K * M).fill(0);
      else heap.gemm(plain(LEFT, rows + at[g] * K * FLOAT, K, n, true), upstream + at[g] * M * FLOAT, part, K, n, M);
    }
  };
}

export function wasmMatmul(context: WasmContext): Pick<RequiredKernels, 'matmul' | 'groupedMatmul' | 'groupedMatmulWeightGrad'> {
  const { heap } = context;

  const plain = plainAddresses(heap);
  const zero = (out: Operand): void => void heap.floats(context.output(out), sizeOf(out.shape)).fill(0);

  return {
    matmul({ a, b }, { out }, { transposeA, transposeB }) {
      const [B, M, N] = out.shape;
      const K = a.shape[transposeA ? 1 : 2];
      if (B * M * N === 0) return;
      if (K === 0) return zero(out);
      const target = context.output(out);
      const [left, right] = [context.input(a), context.input(b)];
      if (b.shape[0] === 1 && !transposeA) {
        heap.gemm(left, plain(RIGHT, right, K, N, transposeB), target, B * M, K, N);
        return;
      }
      const bStep = b.shape[0] === 1 ? 0 : K * N * FLOAT;
      for (let i = 0; i < B; i++) {
        const x = plain(LEFT, left + i * M * K * FLOAT, M, K, transposeA);
        const y = plain(RIGHT, right + i * bStep, K, N, transposeB);
        heap.gemm(x, y, target + i * M * N * FLOAT, M, K, N);
      }
    },
    groupedMatmul({ x, w, offsets }, { out }, { transposeW }) {
      const K = x.shape[1];
      const [R, M] = out.shape;
      if (R * M === 0) return;
      if (K === 0) return zero(out);
      const target = context.output(out);
      const [rows, weights, at] = [context.input(x), context.input(w), context.integers(offsets)];
      for (let g = 0; g + 1 < at.length; g++) {
        const n = at[g + 1] - at[g];
        if (n === 0) continue;
        const weight = plain(RIGHT, weights + g * K * M * FLOAT, K, M, transposeW);
        heap.gemm(rows + at[g] * K * FLOAT, weight, target + at[g] * M * FLOAT, n, K, M);
      }
      const end = at[at.length - 1] * M;
      heap.floats(target + end * FLOAT, R * M - end).fill(0);
    },
    groupedMatmulWeightGrad: weightGradient(context),
  };
}
