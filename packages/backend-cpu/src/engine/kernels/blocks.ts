// Into which blocks threads cut matrix products. No arithmetic: that is in assembly/gemm-block.ts. Blocks of the compiled kernels may depend on
// the threads, because their results do not depend on blocks; those of a library depend on the shape alone, because its results might.
import type { WasmRuntime } from '../runtime.js';

/** The largest block, see assembly/gemm-block.ts: its packed parts fit a thread's scratch. */
const BLOCK_ROWS = 256;
const BLOCK_COLUMNS = 256;
const SMALLEST_ROWS = 32;
const SMALLEST_COLUMNS = 32;
/** Multiplications that pay for waking another thread. */
const GRAIN = 2 ** 17;

export interface Blocks {
  readonly rows: number;
  readonly columns: number;
}

/** Blocks of `matrices` products [M, K] · [K, N]. */
export function chooseBlocks({ threads, byLibrary }: WasmRuntime, matrices: number, M: number, N: number, K: number): Blocks {
  return byLibrary ? libraryBlocks(matrices, M, N, K) : compiledBlocks(threads, matrices, M, N);
}

/** Blocks as large as leaves four per thread. The results do not depend on it. */
function compiledBlocks(threads: number, matrices: number, M: number, N: number): Blocks {
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

/** A library gets this many blocks at most, of about so many multiplications (50 µs) at least. Cut to shorter sides than so, they lose a tenth. */
const LIBRARY_BLOCKS = 8;
const LIBRARY_WORK = 2 ** 22;
const LIBRARY_SIDE = 128;

/** Few large blocks: a library packs both operands of each. */
function libraryBlocks(matrices: number, M: number, N: number, K: number): Blocks {
  const wanted = Math.min(LIBRARY_BLOCKS, (matrices * M * N * K) / LIBRARY_WORK);
  let [rows, columns] = [M, N];
  while (matrices * Math.ceil(M / rows) * Math.ceil(N / columns) < wanted && Math.max(rows, columns) >= 2 * LIBRARY_SIDE) {
    if (rows >= columns) rows = half(rows);
    else columns = half(columns);
  }
  return { rows, columns };
}

/** Whole vectors of a cache line. */
const half = (side: number): number => Math.ceil(side / 32) * 16;

/** Rows that a library's piece gathers, and columns for which they are gathered once: gathered and written rows stay in the second-level cache. */
const GATHERED_ROWS = 256;
const GATHERED_COLUMNS = 512;

/** Blocks of products over segments of `rows` rows in all, with M columns. */
export function chooseGroupedBlocks({ threads, byLibrary }: WasmRuntime, rows: number, M: number): Blocks {
  return byLibrary ? { rows: GATHERED_ROWS, columns: Math.min(M, GATHERED_COLUMNS) } : compiledBlocks(threads, 1, rows, M);
}

/** Blocks of `groups` gradients [K, M] of weights. */
export function chooseGradientBlocks({ threads, byLibrary }: WasmRuntime, groups: number, K: number, M: number): Blocks {
  return byLibrary ? { rows: Math.min(K, GATHERED_ROWS), columns: Math.min(M, GATHERED_COLUMNS) } : compiledBlocks(threads, groups, K, M);
}

/** Blocks per piece when one is rows × columns × K multiplications. */
export function grainOfBlocks(rows: number, columns: number, K: number): number {
  return Math.ceil(GRAIN / Math.max(1, rows * columns * K));
}
