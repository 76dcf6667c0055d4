// Products of a single row, as generating a text makes them: each element of B is used once, so B is read where it lies and in that
// order, and nothing is packed. Every sum runs in ascending k as in gemm-tile.ts, to the same bits.
import { loadTail, storeTail } from './lanes';
import { madd } from './simd';

/**
 * out [columns] = a · B. The K ≥ 1 values of `a` are stepA bytes apart; B is row-major [K, columns], or [columns, K] when transposeB, its rows
 * strideB bytes apart. Any number of columns.
 */
export function multiplyRow(columns: i32, K: i32, a: usize, stepA: usize, b: usize, strideB: usize, transposeB: bool, out: usize): void {
  if (transposeB) return multiplyByLines(columns, K, a, stepA, b, strideB, out);
  const whole = K & ~3;
  for (let k = 0; k < whole; k += 4) {
    addFourRows(columns, a, stepA, b, strideB, out, k === 0);
    a += stepA << 2;
    b += strideB << 2;
  }
  for (let k = whole; k < K; k++) {
    addRow(columns, v128.load32_splat(a), b, out, k === 0, isLastOdd(k, K));
    a += stepA;
    b += strideB;
  }
}

/** Tiles take two steps at a time: where K is odd, the last one is of zeros, and makes −0 of a sum 0. */
@inline
function isLastOdd(k: i32, K: i32): bool {
  return (K & 1) !== 0 && k === K - 1;
}

/** out (or nothing, at first) += four values of a · four rows of B. */
function addFourRows(columns: i32, a: usize, stepA: usize, b: usize, strideB: usize, out: usize, first: bool): void {
  const x0 = v128.load32_splat(a), x1 = v128.load32_splat(a + stepA), x2 = v128.load32_splat(a + 2 * stepA), x3 = v128.load32_splat(a + 3 * stepA);
  const zero = f32x4.splat(0);
  let b0 = b, b1 = b + strideB, b2 = b1 + strideB, b3 = b2 + strideB;
  const end = out + (<usize>(columns & ~7) << 2);
  for (; out !== end; out += 32) {
    let c0 = zero, c1 = zero;
    if (!first) {
      c0 = v128.load(out);
      c1 = v128.load(out, 16);
    }
    c0 = madd(x0, v128.load(b0), c0); c1 = madd(x0, v128.load(b0, 16), c1);
    c0 = madd(x1, v128.load(b1), c0); c1 = madd(x1, v128.load(b1, 16), c1);
    c0 = madd(x2, v128.load(b2), c0); c1 = madd(x2, v128.load(b2, 16), c1);
    c0 = madd(x3, v128.load(b3), c0); c1 = madd(x3, v128.load(b3, 16), c1);
    v128.store(out, c0);
    v128.store(out, c1, 16);
    b0 += 32; b1 += 32; b2 += 32; b3 += 32;
  }
  for (let left = columns & 7; left > 0; left -= 4, out += 16, b0 += 16, b1 += 16, b2 += 16, b3 += 16) {
    let c = first ? zero : loadSome(out, left);
    c = madd(x0, loadSome(b0, left), c);
    c = madd(x1, loadSome(b1, left), c);
    c = madd(x2, loadSome(b2, left), c);
    storeSome(out, left, madd(x3, loadSome(b3, left), c));
  }
}

/** As addFourRows with one row; plus 0 where `addsZero`. */
function addRow(columns: i32, x: v128, b: usize, out: usize, first: bool, addsZero: bool): void {
  const zero = f32x4.splat(0);
  for (let left = columns; left > 0; left -= 4, out += 16, b += 16) {
    const c = madd(x, loadSome(b, left), first ? zero : loadSome(out, left));
    storeSome(out, left, addsZero ? f32x4.add(c, zero) : c);
  }
}

/** The first four, or `left` if that is less; zeros for the others. */
@inline
function loadSome(from: usize, left: i32): v128 {
  return left >= 4 ? v128.load(from) : loadTail(from, left, f32x4.splat(0));
}

@inline
function storeSome(to: usize, left: i32, value: v128): void {
  if (left >= 4) v128.store(to, value);
  else storeTail(to, left, value);
}

/** Eight lines of B at a time, of which four steps are turned into columns. */
function multiplyByLines(columns: i32, K: i32, a: usize, stepA: usize, b: usize, strideB: usize, out: usize): void {
  let left = columns;
  for (; left >= 8; left -= 8, out += 32, b += strideB << 3) {
    v128.store(out, fourLines(K, a, stepA, b, strideB, 4));
    v128.store(out, fourLines(K, a, stepA, b + (strideB << 2), strideB, 4), 16);
  }
  for (; left > 0; left -= 4, out += 16, b += strideB << 2) storeSome(out, left, fourLines(K, a, stepA, b, strideB, left));
}

/** The sums of four lines of B; of `lines`, if that is less. */
@inline
function fourLines(K: i32, a: usize, stepA: usize, b0: usize, strideB: usize, lines: i32): v128 {
  // What is not there is read from the first line, and not used.
  let b1 = lines > 1 ? b0 + strideB : b0, b2 = lines > 2 ? b0 + 2 * strideB : b0, b3 = lines > 3 ? b0 + 3 * strideB : b0;
  let sum = f32x4.splat(0);
  for (let k = K >> 2; k > 0; k--) {
    const y0 = v128.load(b0), y1 = v128.load(b1), y2 = v128.load(b2), y3 = v128.load(b3);
    const low01 = i32x4.shuffle(y0, y1, 0, 4, 1, 5), high01 = i32x4.shuffle(y0, y1, 2, 6, 3, 7);
    const low23 = i32x4.shuffle(y2, y3, 0, 4, 1, 5), high23 = i32x4.shuffle(y2, y3, 2, 6, 3, 7);
    sum = madd(v128.load32_splat(a), i64x2.shuffle(low01, low23, 0, 2), sum);
    sum = madd(v128.load32_splat(a + stepA), i64x2.shuffle(low01, low23, 1, 3), sum);
    sum = madd(v128.load32_splat(a + 2 * stepA), i64x2.shuffle(high01, high23, 0, 2), sum);
    sum = madd(v128.load32_splat(a + 3 * stepA), i64x2.shuffle(high01, high23, 1, 3), sum);
    a += stepA << 2;
    b0 += 16; b1 += 16; b2 += 16; b3 += 16;
  }
  for (let k = K & 3; k > 0; k--) {
    const y = f32x4.replace_lane(f32x4.replace_lane(f32x4.replace_lane(f32x4.splat(load<f32>(b0)), 1, load<f32>(b1)), 2, load<f32>(b2)), 3, load<f32>(b3));
    sum = madd(v128.load32_splat(a), y, sum);
    a += stepA;
    b0 += 4; b1 += 4; b2 += 4; b3 += 4;
  }
  return (K & 1) !== 0 ? f32x4.add(sum, f32x4.splat(0)) : sum;
}
