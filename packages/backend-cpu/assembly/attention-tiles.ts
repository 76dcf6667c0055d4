// The small matrix products inside attention, over tiles of 4 × 8 sums that stay in registers. Scores lie transposed, a row of
// BLOCK queries per key, so that every loop here walks one or two pointers by a constant step: address arithmetic would cost
// as much as the multiplications. Not a general matrix product (that is gemm.ts). D is a multiple of 8.
import { madd } from './simd';

/** Queries that are worked on at once: the length of a row of scores. */
export const BLOCK: i32 = 16;
export const SCORE_BYTES: i32 = BLOCK << 2;

@inline
function storeTile(to: usize, rowBytes: i32, a0: v128, b0: v128, a1: v128, b1: v128, a2: v128, b2: v128, a3: v128, b3: v128): void {
  v128.store(to, a0);
  v128.store(to, b0, 16);
  v128.store(to + rowBytes, a1);
  v128.store(to + rowBytes, b1, 16);
  v128.store(to + 2 * rowBytes, a2);
  v128.store(to + 2 * rowBytes, b2, 16);
  v128.store(to + 3 * rowBytes, a3);
  v128.store(to + 3 * rowBytes, b3, 16);
}

/**
 * scores[j][i] = Σ_d keys[d][j]·queries[d][i] for 4 keys and 8 queries. Both operands are panels [D, 8]; `keys` points at the
 * first or the fifth of its eight.
 */
@inline
export function scoreTile(keys: usize, queries: usize, D: i32, scores: usize): void {
  const zero = f32x4.splat(0);
  let a0 = zero, b0 = zero, a1 = zero, b1 = zero, a2 = zero, b2 = zero, a3 = zero, b3 = zero;
  const last = keys + (D << 5);
  for (; keys < last; keys += 32) {
    const low = v128.load(queries);
    const high = v128.load(queries, 16);
    queries += 32;
    const k0 = v128.load32_splat(keys);
    a0 = madd(k0, low, a0);
    b0 = madd(k0, high, b0);
    const k1 = v128.load32_splat(keys, 4);
    a1 = madd(k1, low, a1);
    b1 = madd(k1, high, b1);
    const k2 = v128.load32_splat(keys, 8);
    a2 = madd(k2, low, a2);
    b2 = madd(k2, high, b2);
    const k3 = v128.load32_splat(keys, 12);
    a3 = madd(k3, low, a3);
    b3 = madd(k3, high, b3);
  }
  storeTile(scores, SCORE_BYTES, a0, b0, a1, b1, a2, b2, a3, b3);
}

/** out[i][c] = Σ_j scores[j][i]·values[j][c] over the first `count` keys, for 4 queries and all D columns. */
@inline
export function mixRows(scores: usize, values: usize, count: i32, D: i32, out: usize): void {
  const bytes = D << 2;
  const last = scores + count * SCORE_BYTES;
  for (let column = 0; column < bytes; column += 32) {
    const zero = f32x4.splat(0);
    let a0 = zero, b0 = zero, a1 = zero, b1 = zero, a2 = zero, b2 = zero, a3 = zero, b3 = zero;
    let from = values + column;
    for (let at = scores; at < last; at += SCORE_BYTES) {
      const low = v128.load(from);
      const high = v128.load(from, 16);
      from += bytes;
      const p0 = v128.load32_splat(at);
      a0 = madd(p0, low, a0);
      b0 = madd(p0, high, b0);
      const p1 = v128.load32_splat(at, 4);
      a1 = madd(p1, low, a1);
      b1 = madd(p1, high, b1);
      const p2 = v128.load32_splat(at, 8);
      a2 = madd(p2, low, a2);
      b2 = madd(p2, high, b2);
      const p3 = v128.load32_splat(at, 12);
      a3 = madd(p3, low, a3);
      b3 = madd(p3, high, b3);
    }
    storeTile(out + column, bytes, a0, b0, a1, b1, a2, b2, a3, b3);
  }
}

/** sums[j][c] += Σ_i scores[j][i]·rows[i][c] over the first `count` queries, for 4 keys and all D columns. */
@inline
export function addRows(scores: usize, rows: usize, count: i32, D: i32, sums: usize): void {
  const bytes = D << 2;
  const last = scores + (count << 2);
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
    let from = rows + column;
    for (let at = scores; at < last; at += 4) {
      const low = v128.load(from);
      const high = v128.load(from, 16);
      from += bytes;
      const p0 = v128.load32_splat(at);
      a0 = madd(p0, low, a0);
      b0 = madd(p0, high, b0);
      const p1 = v128.load32_splat(at, SCORE_BYTES);
      a1 = madd(p1, low, a1);
      b1 = madd(p1, high, b1);
      const p2 = v128.load32_splat(at, 2 * SCORE_BYTES);
      a2 = madd(p2, low, a2);
      b2 = madd(p2, high, b2);
      const p3 = v128.load32_splat(at, 3 * SCORE_BYTES);
      a3 = madd(p3, low, a3);
      b3 = madd(p3, high, b3);
    }
    storeTile(to, bytes, a0, b0, a1, b1, a2, b2, a3, b3);
  }
}
