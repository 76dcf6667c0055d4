// The matrix products that the host calls: which block a work item is. The arithmetic is in gemm-block.ts.
import { multiplyBlock } from './gemm-block';

/**
 * Batched out[n] = op(a[n]) · op(b[n]); a work item is a block of blockRows × blockColumns of one matrix. The matrices of b are
 * `batchStrideB` bytes apart (0: one for all). Items of one column block follow each other, so that B stays in the cache.
 */
export function gemm(
  begin: i32, end: i32, a: usize, b: usize, out: usize, M: i32, N: i32, K: i32, batchStrideB: usize,
  transposeA: bool, transposeB: bool, blockRows: i32, blockColumns: i32,
): void {
  const rowBlocks = (M + blockRows - 1) / blockRows;
  const perMatrix = rowBlocks * ((N + blockColumns - 1) / blockColumns);
  const strideA = <usize>(transposeA ? M : K) << 2, strideB = <usize>(transposeB ? K : N) << 2, strideOut = <usize>N << 2;
  const batchStrideA = (<usize>M * <usize>K) << 2, batchStrideOut = <usize>M * strideOut;
  for (let item = begin; item < end; item++) {
    const matrix = <usize>(item / perMatrix), block = item % perMatrix;
    const i = (block % rowBlocks) * blockRows, j = (block / rowBlocks) * blockColumns;
    multiplyBlock(
      min(blockRows, M - i), min(blockColumns, N - j), K,
      a + matrix * batchStrideA + (transposeA ? <usize>i << 2 : <usize>i * strideA), strideA, transposeA,
      b + matrix * batchStrideB + (transposeB ? <usize>j * strideB : <usize>j << 2), strideB, transposeB,
      out + matrix * batchStrideOut + <usize>i * strideOut + (<usize>j << 2), strideOut,
    );
  }
}

/**
 * Rows of x [R, K] times the matrix of their segment, w[g] [K, M] or [M, K]. `blocks` holds three int32 per row block: segment,
 * first row, rows. A work item is a row block and `blockColumns` columns.
 */
export function groupedGemm(
  begin: i32, end: i32, x: usize, w: usize, out: usize, blocks: usize, K: i32, M: i32, transposeW: bool,
  blockColumns: i32,
): void {
  const strideX = <usize>K << 2, strideW = <usize>(transposeW ? K : M) << 2, strideOut = <usize>M << 2;
  const matrix = <usize>K * strideOut;
  const columnBlocks = (M + blockColumns - 1) / blockColumns;
  for (let item = begin; item < end; item++) {
    const entry = blocks + <usize>(item / columnBlocks) * 12;
    const group = <usize>load<i32>(entry), first = <usize>load<i32>(entry, 4), rows = load<i32>(entry, 8);
    const j = (item % columnBlocks) * blockColumns;
    multiplyBlock(
      rows, min(blockColumns, M - j), K,
      x + first * strideX, strideX, false,
      w + group * matrix + (transposeW ? <usize>j * strideW : <usize>j << 2), strideW, transposeW,
      out + first * strideOut + (<usize>j << 2), strideOut,
    );
  }
}

/** out[g] [K, M] = x[segment g]ᵀ · dy[segment g]; a work item is a block of blockRows × blockColumns of one out[g]. */
export function groupedGemmWeightGrad(
  begin: i32, end: i32, x: usize, dy: usize, offsets: usize, out: usize, K: i32, M: i32, blockRows: i32, blockColumns: i32,
): void {
  const rowBlocks = (K + blockRows - 1) / blockRows;
  const perMatrix = rowBlocks * ((M + blockColumns - 1) / blockColumns);
  const strideX = <usize>K << 2, strideOut = <usize>M << 2;
  for (let item = begin; item < end; item++) {
    const group = item / perMatrix, block = item % perMatrix;
    const i = (block % rowBlocks) * blockRows, j = (block / rowBlocks) * blockColumns;
    const bounds = offsets + (<usize>group << 2);
    const first = load<i32>(bounds), rows = load<i32>(bounds, 4) - first;
    multiplyBlock(
      min(blockRows, K - i), min(blockColumns, M - j), rows,
      x + <usize>first * strideX + (<usize>i << 2), strideX, true,
      dy + <usize>first * strideOut + (<usize>j << 2), strideOut, false,
      out + <usize>group * <usize>K * strideOut + <usize>i * strideOut + (<usize>j << 2), strideOut,
    );
  }
}
