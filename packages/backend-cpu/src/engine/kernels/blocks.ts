// Into which blocks threads cut matrix products. No arithmetic: that is in assembly/gemm-block.ts.

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

/** Blocks as large as leaves four per thread. The results do not depend on it. */
export function chooseBlocks(threads: number, matrices: number, M: number, N: number): Blocks {
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

/** Blocks per piece when one is rows × columns × K multiplications. */
export function grainOfBlocks(rows: number, columns: number, K: number): number {
  return Math.ceil(GRAIN / Math.max(1, rows * columns * K));
}
