// Matrix products on the compiled kernels: how each is cut into blocks that threads take. assembly/gemm.ts does the arithmetic.
import type { Kernels, Operand } from '@xmoe/core';
import { elements, int32s } from '../../storage.js';
import type { WasmRuntime } from '../runtime.js';

/** The largest block, see assembly/gemm-block.ts: its packed parts fit a thread's scratch. */
const BLOCK_ROWS = 256;
const BLOCK_COLUMNS = 256;
const SMALLEST_ROWS = 32;
const SMALLEST_COLUMNS = 32;
/** Multiplications that pay for waking another thread. */
const GRAIN = 2 ** 17;

interface Blocks {
  readonly rows: number;
  readonly columns: number;
}

/** Blocks as large as leaves four per thread. The results do not depend on it. */
function chooseBlocks(threads: number, matrices: number, M: number, N: number): Blocks {
  let [rows, columns] = [Math.min(BLOCK_ROWS, M), Math.min(BLOCK_COLUMNS, N)];
  const enough = threads === 1 ? 1 : 4 * threads;
  const count = (): number => matrices * Math.ceil(M / rows) * Math.ceil(N / columns);
  while (count() < enough && (rows > SMALLEST_ROWS || columns > SMALLEST_COLUMNS)) {
    // Whole tiles of 4 × 8, the longer side first: square blocks move the least for their arithmetic.
    if (rows >= columns && rows > SMALLEST_ROWS) rows = Math.max(SMALLEST_ROWS, Math.ceil(rows / 8) * 4);
    else if (columns > SMALLEST_COLUMNS) columns = Math.max(SMALLEST_COLUMNS, Math.ceil(columns / 16) * 8);
    else rows = Math.max(SMALLEST_ROWS, Math.ceil(rows / 8) * 4);
  }
  return { rows, columns };
}

function grainOf(rows: number, columns: number, K: number): number {
  return Math.ceil(GRAIN / Math.max(1, rows * columns * K));
}

type MatrixKernels = Pick<Kernels, 'matmul' | 'groupedMatmul' | 'groupedMatmulWeightGrad'>;

export function createMatmul(runtime: WasmRuntime): MatrixKernels {
  return {
    matmul(a, b, out, { transposeA, transposeB }) {
      const [matrices, rows, N] = out.shape;
      const K = a.shape[transposeA ? 1 : 2];
      const shared = b.shape[0] === 1;
      // Rows of all matrices that share B are the rows of one.
      const [batch, M] = shared && !transposeA ? [1, matrices * rows] : [matrices, rows];
      if (batch * M * N === 0) return;
      const blocks = chooseBlocks(runtime.threads, batch, M, N);
      runtime.parallel('gemm', batch * Math.ceil(M / blocks.rows) * Math.ceil(N / blocks.columns), grainOf(blocks.rows, blocks.columns, K), [
        runtime.pointer(a), runtime.pointer(b), runtime.pointer(out), M, N, K, shared ? 0 : 4 * K * N,
        Number(transposeA), Number(transposeB), blocks.rows, blocks.columns,
      ]);
    },

    groupedMatmul(x, w, offsets, out, { transposeW }) {
      const [R, M] = out.shape;
      const K = x.shape[1];
      if (R * M === 0) return;
      const bounds = int32s(offsets);
      const end = bounds[w.shape[0]];
      elements(out).fill(0, end * M, R * M);
      if (end === 0) return;
      const { rows, columns } = chooseBlocks(runtime.threads, 1, end, M);
      const [table, count] = rowBlocks(runtime, bounds, rows);
      runtime.parallel('groupedGemm', count * Math.ceil(M / columns), grainOf(Math.min(rows, end / Math.max(1, count)), columns, K), [
        runtime.pointer(x), runtime.pointer(w), runtime.pointer(out), table, K, M, Number(transposeW), columns,
      ]);
    },

    groupedMatmulWeightGrad(x, dy, offsets, out) {
      const [groups, K, M] = out.shape;
      if (groups * K * M === 0) return;
      const blocks = chooseBlocks(runtime.threads, groups, K, M);
      const items = groups * Math.ceil(K / blocks.rows) * Math.ceil(M / blocks.columns);
      runtime.parallel('groupedGemmWeightGrad', items, grainOf(blocks.rows, blocks.columns, averageRows(x, groups)), [
        runtime.pointer(x), runtime.pointer(dy), runtime.pointer(offsets), runtime.pointer(out), K, M, blocks.rows, blocks.columns,
      ]);
    },
  };
}

function averageRows(x: Operand, groups: number): number {
  return x.shape[0] / Math.max(1, groups);
}

/** The rows of all segments in blocks of at most `largest`, as [segment, first row, rows] in scratch; their address and number. */
function rowBlocks(runtime: WasmRuntime, bounds: Int32Array, largest: number): [address: number, count: number] {
  let count = 0;
  for (let group = 0; group + 1 < bounds.length; group++) count += Math.ceil((bounds[group + 1] - bounds[group]) / largest);
  const table = runtime.scratchInts(3 * count);
  let at = 0;
  for (let group = 0; group + 1 < bounds.length; group++) {
    const rows = bounds[group + 1] - bounds[group];
    // Even blocks: 260 rows are 130 + 130, not 256 + 4.
    const height = Math.ceil(rows / Math.ceil(rows / largest) / 4) * 4;
    for (let row = 0; row < rows; row += height) {
      table[at++] = group;
      table[at++] = bounds[group] + row;
      table[at++] = Math.min(height, rows - row);
    }
  }
  return [table.byteOffset, at / 3];
}
