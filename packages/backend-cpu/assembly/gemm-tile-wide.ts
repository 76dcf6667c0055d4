// The innermost part of every matrix product for engines that join two 128-bit operations to one of 256 bits: a tile of 4 × 16 sums,
// eight wide registers, whose pairs lie side by side in memory. The build puts it in the place of gemm-tile.ts.
import { madd } from './simd';

export const TILE_ROWS = 4;
export const TILE_COLUMNS = 16;

/** As multiplyTile of gemm-tile.ts, with 16 values of B[k] at b + k·stepB. */
export function multiplyTile(
  K: i32, a: usize, stepA: usize, b: usize, stepB: usize, c: usize, strideC: usize, accumulate: bool,
): void {
  let c00 = f32x4.splat(0), c01 = c00, c02 = c00, c03 = c00, c10 = c00, c11 = c00, c12 = c00, c13 = c00,
    c20 = c00, c21 = c00, c22 = c00, c23 = c00, c30 = c00, c31 = c00, c32 = c00, c33 = c00;
  if (accumulate) {
    let from = c;
    c00 = v128.load(from); c01 = v128.load(from, 16); c02 = v128.load(from, 32); c03 = v128.load(from, 48);
    from += strideC;
    c10 = v128.load(from); c11 = v128.load(from, 16); c12 = v128.load(from, 32); c13 = v128.load(from, 48);
    from += strideC;
    c20 = v128.load(from); c21 = v128.load(from, 16); c22 = v128.load(from, 32); c23 = v128.load(from, 48);
    from += strideC;
    c30 = v128.load(from); c31 = v128.load(from, 16); c32 = v128.load(from, 32); c33 = v128.load(from, 48);
  }
  const end = a + <usize>K * stepA;
  while (a !== end) {
    const b0 = v128.load(b), b1 = v128.load(b, 16), b2 = v128.load(b, 32), b3 = v128.load(b, 48);
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00); c01 = madd(x, b1, c01); c02 = madd(x, b2, c02); c03 = madd(x, b3, c03);
    x = v128.load32_splat(a, 4);
    c10 = madd(x, b0, c10); c11 = madd(x, b1, c11); c12 = madd(x, b2, c12); c13 = madd(x, b3, c13);
    x = v128.load32_splat(a, 8);
    c20 = madd(x, b0, c20); c21 = madd(x, b1, c21); c22 = madd(x, b2, c22); c23 = madd(x, b3, c23);
    x = v128.load32_splat(a, 12);
    c30 = madd(x, b0, c30); c31 = madd(x, b1, c31); c32 = madd(x, b2, c32); c33 = madd(x, b3, c33);
    a += stepA; b += stepB;
    const d0 = v128.load(b), d1 = v128.load(b, 16), d2 = v128.load(b, 32), d3 = v128.load(b, 48);
    let y = v128.load32_splat(a);
    c00 = madd(y, d0, c00); c01 = madd(y, d1, c01); c02 = madd(y, d2, c02); c03 = madd(y, d3, c03);
    y = v128.load32_splat(a, 4);
    c10 = madd(y, d0, c10); c11 = madd(y, d1, c11); c12 = madd(y, d2, c12); c13 = madd(y, d3, c13);
    y = v128.load32_splat(a, 8);
    c20 = madd(y, d0, c20); c21 = madd(y, d1, c21); c22 = madd(y, d2, c22); c23 = madd(y, d3, c23);
    y = v128.load32_splat(a, 12);
    c30 = madd(y, d0, c30); c31 = madd(y, d1, c31); c32 = madd(y, d2, c32); c33 = madd(y, d3, c33);
    a += stepA; b += stepB;
  }
  v128.store(c, c00); v128.store(c, c01, 16); v128.store(c, c02, 32); v128.store(c, c03, 48);
  c += strideC;
  v128.store(c, c10); v128.store(c, c11, 16); v128.store(c, c12, 32); v128.store(c, c13, 48);
  c += strideC;
  v128.store(c, c20); v128.store(c, c21, 16); v128.store(c, c22, 32); v128.store(c, c23, 48);
  c += strideC;
  v128.store(c, c30); v128.store(c, c31, 16); v128.store(c, c32, 32); v128.store(c, c33, 48);
}
