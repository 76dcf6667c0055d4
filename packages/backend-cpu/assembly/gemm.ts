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
      out + matrix * batchStrideOut + <usize>i * strideOut + (<usize>j << 2), strideOut, false,
    );
  }
}
