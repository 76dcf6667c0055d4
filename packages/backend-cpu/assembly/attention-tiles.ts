// The small matrix products inside attention, over tiles of 4 rows × 8 columns that stay in registers. Sizes are whole tiles:
// the caller pads. Not a general matrix product (that is gemm.ts): operands are where attention has them.
import { madd } from './simd';

/**
 * Tile (4 query rows at `rows`, 8 keys): out[i][j] = Σ_d rows[i][d]·panel[d][j]. `panel` is [D, 8], packed; `rowBytes` and
 * `outBytes` are the distances of rows.
 */
@inline
export function scoreTile(rows: usize, rowBytes: i32, panel: usize, D: i32, out: usize, outBytes: i32): void {
  const zero = f32x4.splat(0);
  let a0 = zero, b0 = zero, a1 = zero, b1 = zero, a2 = zero, b2 = zero, a3 = zero, b3 = zero;
  const rows1 = rows + rowBytes;
  const rows2 = rows1 + rowBytes;
  const rows3 = rows2 + rowBytes;
  const last = D << 2;
  let from = panel;
  for (let at = 0; at < last; at += 4) {
    const low = v128.load(from);
    const high = v128.load(from, 16);
    from += 32;
    const q0 = v128.load32_splat(rows + at);
    a0 = madd(q0, low, a0);
    b0 = madd(q0, high, b0);
    const q1 = v128.load32_splat(rows1 + at);
    a1 = madd(q1, low, a1);
    b1 = madd(q1, high, b1);
    const q2 = v128.load32_splat(rows2 + at);
    a2 = madd(q2, low, a2);
    b2 = madd(q2, high, b2);
    const q3 = v128.load32_splat(rows3 + at);
    a3 = madd(q3, low, a3);
    b3 = madd(q3, high, b3);
  }
  v128.store(out, a0);
  v128.store(out, b0, 16);
  v128.store(out + outBytes, a1);
  v128.store(out + outBytes, b1, 16);
  v128.store(out + 2 * outBytes, a2);
  v128.store(out + 2 * outBytes, b2, 16);
  v128.store(out + 3 * outBytes, a3);
  v128.store(out + 3 * outBytes, b3, 16);
}

/** out[i][c] = Σ_j scores[i][j]·values[j][c] for 4 rows, 8 columns at a time over all D, j < count. */
@inline
export function mixRows(
  scores: usize, scoreBytes: i32, values: usize, count: i32, D: i32, out: usize, outBytes: i32,
): void {
  const valueBytes = D << 2;
  for (let column = 0; column < valueBytes; column += 32) {
    const zero = f32x4.splat(0);
    let a0 = zero, b0 = zero, a1 = zero, b1 = zero, a2 = zero, b2 = zero, a3 = zero, b3 = zero;
    let from = values + column;
    let score = scores;
    const last = scores + (count << 2);
    for (; score < last; score += 4) {
      const low = v128.load(from);
      const high = v128.load(from, 16);
      from += valueBytes;
      const p0 = v128.load32_splat(score);
      a0 = madd(p0, low, a0);
      b0 = madd(p0, high, b0);
      const p1 = v128.load32_splat(score + scoreBytes);
      a1 = madd(p1, low, a1);
      b1 = madd(p1, high, b1);
      const p2 = v128.load32_splat(score + 2 * scoreBytes);
      a2 = madd(p2, low, a2);
      b2 = madd(p2, high, b2);
      const p3 = v128.load32_splat(score + 3 * scoreBytes);
      a3 = madd(p3, low, a3);
      b3 = madd(p3, high, b3);
    }
    const to = out + column;
    v128.store(to, a0);
    v128.store(to, b0, 16);
    v128.store(to + outBytes, a1);
    v128.store(to + outBytes, b1, 16);
    v128.store(to + 2 * outBytes, a2);
    v128.store(to + 2 * outBytes, b2, 16);
    v128.store(to + 3 * outBytes, a3);
    v128.store(to + 3 * outBytes, b3, 16);
  }
}

/**
 * sums[j][c] += Σ_i scores[i][j]·rows[i][c] for 4 keys j at `scores` and all D columns, over `count` query rows. `sums` is
 * [4, D], rows [count, D].
 */
@inline
export function addTransposed(scores: usize, scoreBytes: i32, rows: usize, count: i32, D: i32, sums: usize): void {
  const bytes = D << 2;
  for (let column = 0; column < bytes; column += 32) {
    const to = sums + column;
    let a0 = v128.load(to);
    let b0 = v128.load(to, 16);
    let a1 = v128.load(to + bytes);
    let b1 = v128.load(to + bytes, 16);
    let a2 = v128.load(to + 2 * bytes);
    let b2 = v128.load(to + 2 * bytes, 16);
    let a3 = v128.load(to + 3 * bytes);
    let b3 = v128.load(to + 3 * bytes, 16);
    let score = scores;
    let from = rows + column;
    for (let i = 0; i < count; i++) {
      const low = v128.load(from);
      const high = v128.load(from, 16);
      from += bytes;
      const p0 = v128.load32_splat(score);
      a0 = madd(p0, low, a0);
      b0 = madd(p0, high, b0);
      const p1 = v128.load32_splat(score, 4);
      a1 = madd(p1, low, a1);
      b1 = madd(p1, high, b1);
      const p2 = v128.load32_splat(score, 8);
      a2 = madd(p2, low, a2);
      b2 = madd(p2, high, b2);
      const p3 = v128.load32_splat(score, 12);
      a3 = madd(p3, low, a3);
      b3 = madd(p3, high, b3);
      score += scoreBytes;
    }
    v128.store(to, a0);
    v128.store(to, b0, 16);
    v128.store(to + bytes, a1);
    v128.store(to + bytes, b1, 16);
    v128.store(to + 2 * bytes, a2);
    v128.store(to + 2 * bytes, b2, 16);
    v128.store(to + 3 * bytes, a3);
    v128.store(to + 3 * bytes, b3, 16);
  }
}
