// Batched matrix products on the compiled kernels: those of few rows read B where it lies, others go in blocks. assembly/gemm.ts does the arithmetic; products
// over segments are in grouped.ts.
import type { Kernels } from '@xmoe/core';
import type { WasmRuntime } from '../runtime.js';
import { chooseBlocks, grainOfBlocks, grainOfFew, LINE, readsInPlace } from './blocks.js';

export function createMatmul(runtime: WasmRuntime): Pick<Kernels, 'matmul'> {
  return {
    matmul({ a, b }, { out }, { transposeA, transposeB }) {
      const [matrices, rows, N] = out.shape;
      const K = a.shape[transposeA ? 1 : 2];
      const shared = b.shape[0] === 1;
      // Rows of all matrices that share B are the rows of one.
      const [batch, M] = shared && !transposeA ? [1, matrices * rows] : [matrices, rows];
      if (batch * M * N === 0) return;
      const operands = [runtime.pointer(a), runtime.pointer(b), runtime.pointer(out), M, N, K, shared ? 0 : 4 * K * N, Number(transposeA), Number(transposeB)];
      if (readsInPlace(runtime, M, N, K, transposeB)) {
        const items = batch * Math.ceil(N / LINE);
        return runtime.parallel('gemmFew', items, grainOfFew(runtime, items, M * K, transposeB), operands);
      }
      const blocks = chooseBlocks(runtime, batch, M, N, K);
      runtime.parallel('gemm', batch * Math.ceil(M / blocks.rows) * Math.ceil(N / blocks.columns), grainOfBlocks(blocks.rows, blocks.columns, K), [...operands, blocks.rows, blocks.columns]);
    },
  };
}
