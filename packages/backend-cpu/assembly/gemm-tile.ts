// The innermost part of every matrix product: a tile of 4 × 8 sums in registers, from operands that lie k-major.
//
// Its form is measured, not chosen: what V8 makes of it depends on how many values live through the loop. Level with it or slower
// were 2 × 16, 3 × 12, 4 × 12, 5 × 8 and 6 × 8 sums; rows of A read where they lie; adding to `c` after the loop instead of starting
// from it; one, or four, steps per turn; a counter instead of an end. Slow ones lose up to a half.
import { madd } from './simd';

export const TILE_ROWS = 4;
export const TILE_COLUMNS = 8;

/**
 * The tile at `c` (rows `strideC` bytes apart) = Σ_k A[k]ᵀ·B[k], or added to what is there. K is even; the four values of
 * A[k] lie at a + k·stepA, the eight of B[k] at b + k·stepB.
 */
export function multiplyTile(
  K: i32, a: usize, stepA: usize, b: usize, stepB: usize, c: usize, strideC: usize, accumulate: bool,
): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  if (accumulate) {
    let from = c;
    c00 = v128.load(from); c01 = v128.load(from, 16);
    from += strideC;
    c10 = v128.load(from); c11 = v128.load(from, 16);
    from += strideC;
    c20 = v128.load(from); c21 = v128.load(from, 16);
    from += strideC;
    c30 = v128.load(from); c31 = v128.load(from, 16);
  }
  const end = a + <usize>K * stepA;
  while (a !== end) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00); c01 = madd(x, b1, c01);
    x = v128.load32_splat(a, 4);
    c10 = madd(x, b0, c10); c11 = madd(x, b1, c11);
    x = v128.load32_splat(a, 8);
    c20 = madd(x, b0, c20); c21 = madd(x, b1, c21);
    x = v128.load32_splat(a, 12);
    c30 = madd(x, b0, c30); c31 = madd(x, b1, c31);
    a += stepA; b += stepB;
    const d0 = v128.load(b), d1 = v128.load(b, 16);
    let y = v128.load32_splat(a);
    c00 = madd(y, d0, c00); c01 = madd(y, d1, c01);
    y = v128.load32_splat(a, 4);
    c10 = madd(y, d0, c10); c11 = madd(y, d1, c11);
    y = v128.load32_splat(a, 8);
    c20 = madd(y, d0, c20); c21 = madd(y, d1, c21);
    y = v128.load32_splat(a, 12);
    c30 = madd(y, d0, c30); c31 = madd(y, d1, c31);
    a += stepA; b += stepB;
  }
  v128.store(c, c00); v128.store(c, c01, 16);
  c += strideC;
  v128.store(c, c10); v128.store(c, c11, 16);
  c += strideC;
  v128.store(c, c20); v128.store(c, c21, 16);
  c += strideC;
  v128.store(c, c30); v128.store(c, c31, 16);
}
