// The innermost part of every matrix product: a tile of 4 × 8 sums in registers, from operands that lie k-major. Measured
// against 3 × 12, 2 × 16, 4 × 12, 5 × 8 and 6 × 8, and against reading the rows of A where they lie, it is the fastest or level:
// more sums than 8 registers make V8 move registers about.
import { madd } from './simd';

export const TILE_ROWS = 4;
export const TILE_COLUMNS = 8;

/** Writes a tile: whole when rows = 4 and columns = 8, else its upper left part; `accumulate` adds to what is there. */
@inline
function storeTile(
  c: usize, strideC: usize, rows: i32, columns: i32, accumulate: bool, spill: usize,
  c00: v128, c01: v128, c10: v128, c11: v128, c20: v128, c21: v128, c30: v128, c31: v128,
): void {
  if (rows === TILE_ROWS && columns === TILE_COLUMNS) {
    storeRow(c, accumulate, c00, c01);
    storeRow(c + strideC, accumulate, c10, c11);
    storeRow(c + 2 * strideC, accumulate, c20, c21);
    storeRow(c + 3 * strideC, accumulate, c30, c31);
    return;
  }
  storeRow(spill, false, c00, c01);
  storeRow(spill + 32, false, c10, c11);
  storeRow(spill + 64, false, c20, c21);
  storeRow(spill + 96, false, c30, c31);
  storePart(c, strideC, rows, columns, accumulate, spill);
}

@inline
function storeRow(c: usize, accumulate: bool, left: v128, right: v128): void {
  if (accumulate) {
    left = f32x4.add(left, v128.load(c));
    right = f32x4.add(right, v128.load(c, 16));
  }
  v128.store(c, left);
  v128.store(c, right, 16);
}

function storePart(c: usize, strideC: usize, rows: i32, columns: i32, accumulate: bool, spill: usize): void {
  for (let i = 0; i < rows; i++) {
    for (let j: usize = 0; j < <usize>columns << 2; j += 4) {
      const value = load<f32>(spill + j);
      store<f32>(c + j, accumulate ? value + load<f32>(c + j) : value);
    }
    c += strideC;
    spill += 32;
  }
}

/** out = Σ_k A[k]ᵀ·B[k]: the four values of step k at a + k·stepA, the eight of B at b + k·stepB; all are read. */
export function multiplyTile(
  K: i32, a: usize, stepA: usize, b: usize, stepB: usize,
  c: usize, strideC: usize, rows: i32, columns: i32, accumulate: bool, spill: usize,
): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  for (let k = 0; k < K; k++) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00); c01 = madd(x, b1, c01);
    x = v128.load32_splat(a, 4);
    c10 = madd(x, b0, c10); c11 = madd(x, b1, c11);
    x = v128.load32_splat(a, 8);
    c20 = madd(x, b0, c20); c21 = madd(x, b1, c21);
    x = v128.load32_splat(a, 12);
    c30 = madd(x, b0, c30); c31 = madd(x, b1, c31);
    a += stepA;
    b += stepB;
  }
  storeTile(c, strideC, rows, columns, accumulate, spill, c00, c01, c10, c11, c20, c21, c30, c31);
}
