// The matrix products that the host calls: which part of a product a work item is. The arithmetic is in gemm-block.ts and gemm-few.ts.
import { multiplyBlock } from './gemm-block';
import { multiplyFew } from './gemm-few';

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

/** Columns of an item of gemmFew: those of a cache line. */
const LINE: i32 = 16;

/**
 * As gemm, with K ≥ 1, of at most 16 rows that no library multiplies. A work item is LINE columns of one matrix; those of one matrix that a thread has are
 * computed together, so that it reads B in runs as long as can be.
 */
export function gemmFew(
  begin: i32, end: i32, a: usize, b: usize, out: usize, M: i32, N: i32, K: i32, batchStrideB: usize, transposeA: bool, transposeB: bool,
): void {
  const strideA = <usize>(transposeA ? M : K) << 2, strideB = <usize>(transposeB ? K : N) << 2, strideOut = <usize>N << 2;
  const batchStrideA = (<usize>M * <usize>K) << 2, batchStrideOut = <usize>M * strideOut;
  const perMatrix = (N + LINE - 1) / LINE;
  for (let item = begin; item < end;) {
    const matrix = <usize>(item / perMatrix), first = item % perMatrix;
    const items = min(end - item, perMatrix - first);
    const j = <usize>(first * LINE);
    multiplyFew(
      M, min(items * LINE, N - first * LINE), K, a + matrix * batchStrideA, transposeA ? 4 : strideA, transposeA ? strideA : 4,
      b + matrix * batchStrideB + (transposeB ? j * strideB : j << 2), strideB, transposeB, out + matrix * batchStrideOut + (j << 2), strideOut,
    );
    item += items;
  }
}
