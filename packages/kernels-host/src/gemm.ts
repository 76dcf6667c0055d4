// The matrix product behind matmul, groupedMatmul and attention: packs strided operands into contiguous panels of
// doubles, then runs a 4 × 3 register tile. Twelve sums and seven factors just fit the registers that V8 uses; 4 × 4 spills
// and is slower. Knows nothing about operands.
import type { FloatArray } from './host-view.js';

/** A matrix inside an array: element (i, j) is data[start + i·rowStride + j·columnStride], or with `rows` rows[i] for i. */
export interface Matrix {
  readonly data: FloatArray;
  readonly start: number;
  readonly rowStride: number;
  readonly columnStride: number;
  readonly rows?: Int32Array;
}

const TILE_ROWS = 4;
const TILE_COLUMNS = 3;
/** Doubles packed at once: B's panels (1 MiB) stay in a second-level cache while A's (8 MiB) stream past them. */
const PANEL_B_DOUBLES = 2 ** 17;
const PANEL_A_DOUBLES = 2 ** 20;

/** The [rows, columns] matrix at `start`, or its transpose when `transposed`, seen as the untransposed one. */
export function matrixAt(data: FloatArray, start: number, rows: number, columns: number, transposed: boolean): Matrix {
  return transposed
    ? { data, start, rowStride: 1, columnStride: rows }
    : { data, start, rowStride: columns, columnStride: 1 };
}

let scratchA = new Float64Array(0);
let scratchB = new Float64Array(0);
const tile = new Float64Array(TILE_ROWS * TILE_COLUMNS);

/**
 * out [M, N] = a [M, K] · b [K, N]; `accumulate` adds to what out holds. a and out may name their rows, b not. Sums over K run in
 * doubles, in order.
 */
export function gemm(M: number, N: number, K: number, a: Matrix, b: Matrix, out: Matrix, accumulate = false): void {
  const rowBlock = blockOf(M, TILE_ROWS, K, PANEL_A_DOUBLES);
  const columnBlock = blockOf(N, TILE_COLUMNS, K, PANEL_B_DOUBLES);
  if (scratchA.length < rowBlock * K) scratchA = new Float64Array(rowBlock * K);
  if (scratchB.length < columnBlock * K) scratchB = new Float64Array(columnBlock * K);
  for (let i = 0; i < M; i += rowBlock) {
    const height = Math.min(rowBlock, M - i);
    pack(a.data, a.start, a.rowStride, a.columnStride, i, height, K, TILE_ROWS, scratchA, a.rows);
    for (let j = 0; j < N; j += columnBlock) {
      const width = Math.min(columnBlock, N - j);
      pack(b.data, b.start, b.columnStride, b.rowStride, j, width, K, TILE_COLUMNS, scratchB);
      for (let row = 0; row < height; row += TILE_ROWS) {
        for (let column = 0; column < width; column += TILE_COLUMNS) {
          multiplyPanels(scratchA, row * K, scratchB, column * K, K);
          storeTile(out, i + row, j + column, Math.min(TILE_ROWS, height - row), Math.min(TILE_COLUMNS, width - column), accumulate);
        }
      }
    }
  }
}

/** How many of `count` lines of K doubles to pack at once: whole tiles, at least one. */
function blockOf(count: number, tileSize: number, K: number, budget: number): number {
  const fitting = Math.floor(budget / Math.max(1, K * tileSize)) * tileSize;
  return Math.min(Math.ceil(count / tileSize) * tileSize, Math.max(tileSize, fitting));
}

/** `count` lines of K elements, from `begin` on, into panels of `tileSize` lines, element by element side by side; the rest is zero. */
function pack(
  source: FloatArray, start: number, lineStride: number, stride: number, begin: number,
  count: number, K: number, tileSize: number, panel: Float64Array, names?: Int32Array,
): void {
  for (let first = 0; first < count; first += tileSize) {
    for (let line = 0; line < tileSize; line++) {
      let to = first * K + line;
      if (first + line >= count) {
        for (let k = 0; k < K; k++, to += tileSize) panel[to] = 0;
        continue;
      }
      const at = begin + first + line;
      let from = start + (names === undefined ? at : names[at]) * lineStride;
      for (let k = 0; k < K; k++, to += tileSize, from += stride) panel[to] = source[from];
    }
  }
}

/** tile = Aᵀ·B of two packed panels. The `| 0` keep index arithmetic in machine integers: a quarter faster. */
function multiplyPanels(a: Float64Array, startA: number, b: Float64Array, startB: number, K: number): void {
  let c00 = 0, c01 = 0, c02 = 0;
  let c10 = 0, c11 = 0, c12 = 0;
  let c20 = 0, c21 = 0, c22 = 0;
  let c30 = 0, c31 = 0, c32 = 0;
  let pa = startA | 0;
  let pb = startB | 0;
  for (let k = 0; k < K; k = (k + 1) | 0) {
    const b0 = b[pb], b1 = b[(pb + 1) | 0], b2 = b[(pb + 2) | 0];
    const a0 = a[pa];
    c00 += a0 * b0; c01 += a0 * b1; c02 += a0 * b2;
    const a1 = a[(pa + 1) | 0];
    c10 += a1 * b0; c11 += a1 * b1; c12 += a1 * b2;
    const a2 = a[(pa + 2) | 0];
    c20 += a2 * b0; c21 += a2 * b1; c22 += a2 * b2;
    const a3 = a[(pa + 3) | 0];
    c30 += a3 * b0; c31 += a3 * b1; c32 += a3 * b2;
    pa = (pa + 4) | 0;
    pb = (pb + 3) | 0;
  }
  tile[0] = c00; tile[1] = c01; tile[2] = c02;
  tile[3] = c10; tile[4] = c11; tile[5] = c12;
  tile[6] = c20; tile[7] = c21; tile[8] = c22;
  tile[9] = c30; tile[10] = c31; tile[11] = c32;
}

function storeTile(out: Matrix, row: number, column: number, rows: number, columns: number, accumulate: boolean): void {
  const { data, rowStride, columnStride, rows: names } = out;
  for (let i = 0; i < rows; i++) {
    let to = out.start + (names === undefined ? row + i : names[row + i]) * rowStride + column * columnStride;
    for (let j = 0; j < columns; j++, to += columnStride) {
      const value = tile[i * TILE_COLUMNS + j];
      data[to] = accumulate ? data[to] + value : value;
    }
  }
}
