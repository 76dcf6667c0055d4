// The products of rows that belong to segments with a matrix each, as the host calls them: gather on load, bias and activation
// in the epilogue. Which block a work item is; the arithmetic is in gemm-pick.ts.
import { activateRows } from './activation';
import { NARROW, multiplyPickedNarrow } from './gemm-narrow';
import { multiplyOuterNarrow } from './gemm-narrow-outer';
import { multiplyOuter, multiplyPicked } from './gemm-pick';

/**
 * Rows of x [limit, K], picked by `rows` [R] (0: each row itself), times the matrix of their segment, w[g] [K, M] or [M, K]; then bias
 * and activation, see activateRows. `blocks` holds three int32 per row block: segment, first row, rows. A work item is a row block
 * and `blockColumns` columns. `zeros` is K zeros.
 */
export function groupedLinear(
  begin: i32, end: i32, x: usize, rows: usize, limit: i32, zeros: usize, w: usize, transposeW: bool, bias: usize, out: usize, pre: usize,
  blocks: usize, K: i32, M: i32, blockColumns: i32, kind: i32,
): void {
  const strideX = <usize>K << 2, strideW = <usize>(transposeW ? K : M) << 2, strideOut = <usize>M << 2;
  const matrix = <usize>K * strideOut;
  const columnBlocks = (M + blockColumns - 1) / blockColumns;
  for (let item = begin; item < end; item++) {
    const entry = blocks + <usize>(item / columnBlocks) * 12;
    const group = <usize>load<i32>(entry), first = load<i32>(entry, 4), height = load<i32>(entry, 8);
    const j = (item % columnBlocks) * blockColumns;
    const columns = min(blockColumns, M - j);
    const at = <usize>first * strideOut + (<usize>j << 2);
    const from = w + group * matrix + (transposeW ? <usize>j * strideW : <usize>j << 2);
    if (min(K, M) <= NARROW) multiplyPickedNarrow(height, columns, K, x, strideX, rows, first, limit, zeros, from, strideW, transposeW, out + at, strideOut);
    else multiplyPicked(height, columns, K, x, strideX, rows, first, limit, zeros, from, strideW, transposeW, out + at, strideOut);
    activateRows(
      kind, height, columns, rows == 0 ? 0 : rows + (<usize>first << 2), limit,
      bias == 0 ? 0 : bias + group * strideOut + (<usize>j << 2), out + at, strideOut, pre == 0 ? 0 : pre + at, strideOut,
    );
  }
}

/**
 * dw[g] [K, M] = Σ_r scale[r] · x[xRows[r]]ᵀ·dy[dyRows[r]] over the rows bounds[2g] ≤ r < bounds[2g + 1], and dbias[g] [M] = Σ_r scale[r] ·
 * dy[dyRows[r]]. x [limitX, K], dy [limitDy, M]; xRows, dyRows, scale and dbias may be 0. A work item is a block of blockRows ×
 * blockColumns of one dw[g]. `zeros` is max(K, M) zeros.
 */
export function groupedLinearWeightGrad(
  begin: i32, end: i32, x: usize, xRows: usize, limitX: i32, dy: usize, dyRows: usize, limitDy: i32, scale: usize, zeros: usize,
  bounds: usize, dw: usize, dbias: usize, K: i32, M: i32, blockRows: i32, blockColumns: i32,
): void {
  const rowBlocks = (K + blockRows - 1) / blockRows;
  const perMatrix = rowBlocks * ((M + blockColumns - 1) / blockColumns);
  const strideX = <usize>K << 2, strideOut = <usize>M << 2;
  for (let item = begin; item < end; item++) {
    const group = item / perMatrix, block = item % perMatrix;
    const i = (block % rowBlocks) * blockRows, j = (block / rowBlocks) * blockColumns;
    const segment = bounds + (<usize>group << 3);
    const first = load<i32>(segment);
    const column = <usize>j << 2;
    const lines = min(blockRows, K - i), columns = min(blockColumns, M - j), count = load<i32>(segment, 4) - first;
    const a = x + (<usize>i << 2), b = dy + column, to = dw + <usize>group * <usize>K * strideOut + <usize>i * strideOut + column;
    const sums = dbias == 0 || i > 0 ? 0 : dbias + <usize>group * strideOut + column;
    if (min(K, M) <= NARROW) {
      multiplyOuterNarrow(lines, columns, count, first, zeros, a, strideX, xRows, limitX, b, strideOut, dyRows, limitDy, scale, to, strideOut, sums, false);
    } else {
      multiplyOuter(lines, columns, count, first, zeros, a, strideX, xRows, limitX, b, strideOut, dyRows, limitDy, scale, to, strideOut, sums, false);
    }
  }
}
