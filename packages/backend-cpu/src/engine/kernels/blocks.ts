// Into which blocks threads cut matrix products. No arithmetic: that is in assembly/gemm-block.ts. Blocks of the compiled kernels may depend on
// the threads, because their results do not depend on blocks. Nor do those of a library's product where it has been found so (native/cuts.ts);
// otherwise its blocks depend on the shape alone.
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

/** Columns of an item of the products of few rows, see gemmFew of assembly/gemm.ts. */
export const LINE = 16;
/** From so many elements on a B that is read by few rows comes from beyond the caches of a core. */
const FAR = 2 ** 17;
/** Up to so many rows reading B in place pays: beside the compiled tiles, beside a library, and where B is transposed. */
const FEW_ROWS = { tiles: 16, library: 8, transposed: 4 };

/**
 * Whether a product [M, K] · [K, N] reads B once, where it lies, instead of packing blocks of it. It depends on the shape alone: a library's results are others.
 */
export function readsInPlace({ byLibrary }: Pick<WasmRuntime, 'byLibrary'>, M: number, N: number, K: number, transposeB: boolean): boolean {
  if (K === 0) return false;
  if (M === 1) return !byLibrary || transposeB || N * K >= FAR;
  return N * K >= FAR && M <= FEW_ROWS[transposeB ? 'transposed' : byLibrary ? 'library' : 'tiles'];
}

/** Of a row of B a thread reads so many items at least, 3 KiB, where all get as much: what comes next is read ahead only within a run. */
const RUN = 48;

/** Items of few rows per piece, each of `work` multiplications per column; lines of a transposed B are runs by themselves. */
export function grainOfFew({ threads }: Pick<WasmRuntime, 'threads'>, items: number, work: number, transposeB: boolean): number {
  const worth = Math.ceil(GRAIN / (LINE * work));
  if (transposeB) return worth;
  const pieces = threads * Math.max(1, Math.floor(items / (threads * RUN)));
  return Math.max(worth, Math.ceil(items / pieces));
}

/** Blocks of `matrices` products [M, K] · [K, N]. */
export function chooseBlocks({ threads, byLibrary, cutsFreely }: WasmRuntime, matrices: number, M: number, N: number, K: number): Blocks {
  if (!byLibrary) return compiledBlocks(threads, matrices, M, N);
  return cutsFreely ? freeBlocks(threads, matrices, M, N, K) : libraryBlocks(matrices, M, N, K);
}

/** Of a segment's single row nothing is packed: as many columns as are worth a piece. */
function rowBlock(N: number, K: number): Blocks {
  return { rows: 1, columns: Math.min(N, Math.max(SMALLEST_COLUMNS, Math.ceil(GRAIN / (16 * Math.max(1, K))) * 16)) };
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

/** No block of a product that is cut freely has fewer multiplications: for small products libraries have kernels that sum otherwise. */
export const LEAST_FREE_WORK = 2 ** 20;

/** A block for each thread: the larger, the less a library packs. The longer side first. */
function freeBlocks(threads: number, matrices: number, M: number, N: number, K: number): Blocks {
  const work = matrices * M * N * K;
  const wanted = Math.ceil(Math.min(threads, work / LIBRARY_WORK) / matrices);
  const parts = (side: number, most: number): number => Math.max(1, Math.min(most, Math.floor(side / LIBRARY_SIDE)));
  const long = parts(Math.max(M, N), wanted);
  const short = parts(Math.min(M, N), Math.ceil(wanted / long));
  const [rowParts, columnParts] = M >= N ? [long, short] : [short, long];
  const [rows, columns] = [evenSide(M, rowParts), evenSide(N, columnParts)];
  const smallest = (M % rows || rows) * (N % columns || columns) * K;
  return smallest < LEAST_FREE_WORK ? { rows: M, columns: N } : { rows, columns };
}

/** The side of `parts` blocks or fewer, in whole vectors of a cache line, of which the last is no less than half. */
export function evenSide(side: number, parts: number): number {
  for (let count = parts; count > 1; count--) {
    const each = Math.ceil(side / count / 16) * 16;
    const last = side % each;
    if (last === 0 || 2 * last >= each) return each;
  }
  return side;
}

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

/** Blocks of products over segments of `rows` rows in all, with M columns; `segments` are not empty. */
export function chooseGroupedBlocks({ threads, byLibrary }: WasmRuntime, rows: number, segments: number, M: number, K: number): Blocks {
  if (rows === segments) return rowBlock(M, K);
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
