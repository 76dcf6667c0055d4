// Products of one row or few, as generating texts makes them: each element of B is used a few times only, so B is read where it lies, once and in that
// order, and nothing is packed. Four steps of K of eight columns are held while the rows pass. Every sum runs in ascending k as in gemm-tile.ts, to the same bits.
import { loadTail, storeTail } from './lanes';
import { copyBytes } from './movement';
import { madd } from './simd';
import { threadScratch } from './thread';

/** Sums of several rows lie side by side in scratch: those of equal columns in `out` may share a set of the first-level cache. */
const SUMS_BYTES: usize = 262144;
const GAP: usize = 64;

/**
 * out [rows, columns] = A · B. The K ≥ 1 values of a row of A are stepA bytes apart, its rows strideA; B is row-major [K, columns], or [columns, K] when
 * transposeB, its rows strideB bytes apart. Any number of columns, and rows of which SUMS_BYTES hold eight columns each.
 */
export function multiplyFew(
  rows: i32, columns: i32, K: i32, a: usize, strideA: usize, stepA: usize, b: usize, strideB: usize, transposeB: bool, out: usize, strideOut: usize,
): void {
  let whole = rows > 1 ? columns & ~7 : 0;
  columns -= whole;
  while (whole > 0) {
    const width = min(whole, transposeB ? 8 : widthOf(rows));
    const sums = threadScratch(), stride = (<usize>width << 2) + GAP;
    memory.fill(sums, 0, <usize>rows * stride);
    if (transposeB) addLines(rows, K, a, strideA, stepA, b, strideB, sums, stride);
    else addRows(rows, width, K, a, strideA, stepA, b, strideB, sums, stride);
    for (let i: usize = 0; i < <usize>rows; i++) copyBytes(out + i * strideOut, sums + i * stride, width << 2);
    whole -= width;
    b += transposeB ? <usize>width * strideB : <usize>width << 2;
    out += <usize>width << 2;
  }
  if (columns === 0) return;
  for (; rows > 0; rows--, a += strideA, out += strideOut) {
    if (transposeB) multiplyByLines(columns, K, a, stepA, b, strideB, out);
    else multiplyRow(columns, K, a, stepA, b, strideB, out);
  }
}

/** Columns whose sums have room. */
@inline
function widthOf(rows: i32): i32 {
  return (<i32>(SUMS_BYTES / <usize>rows - GAP) >> 2) & ~7;
}

/** Tiles take two steps at a time: where K is odd, the last one is of zeros, and makes −0 of a sum 0. */
@inline
function isLastOdd(k: i32, K: i32): bool {
  return (K & 1) !== 0 && k === K - 1;
}

/** sums += A · B of whole eights of columns: four rows of B at a time from one end to the other. */
function addRows(rows: i32, columns: i32, K: i32, a: usize, strideA: usize, stepA: usize, b: usize, strideB: usize, sums: usize, stride: usize): void {
  const whole = K & ~3;
  for (let k = 0; k < whole; k += 4) {
    addFourOfAll(rows, columns, a, strideA, stepA, b, strideB, sums, stride);
    a += stepA << 2;
    b += strideB << 2;
  }
  for (let k = whole; k < K; k++) {
    let from = a, to = sums;
    for (let i = rows; i > 0; i--, from += strideA, to += stride) addRow(columns, v128.load32_splat(from), b, to, false, isLastOdd(k, K));
    a += stepA;
    b += strideB;
  }
}

/** sums += four columns of A · four rows of B. */
function addFourOfAll(rows: i32, columns: i32, a: usize, strideA: usize, stepA: usize, b: usize, strideB: usize, sums: usize, stride: usize): void {
  let b0 = b, b1 = b + strideB, b2 = b1 + strideB, b3 = b2 + strideB;
  const end = sums + (<usize>columns << 2);
  for (; sums !== end; sums += 32) {
    addFour(
      rows, a, strideA, stepA, sums, stride,
      v128.load(b0), v128.load(b0, 16), v128.load(b1), v128.load(b1, 16), v128.load(b2), v128.load(b2, 16), v128.load(b3), v128.load(b3, 16),
    );
    b0 += 32; b1 += 32; b2 += 32; b3 += 32;
  }
}

/** Eight columns of all rows += four columns of A · y, whose rows are of two vectors. */
@inline
function addFour(
  rows: i32, a: usize, strideA: usize, stepA: usize, sums: usize, stride: usize,
  y00: v128, y01: v128, y10: v128, y11: v128, y20: v128, y21: v128, y30: v128, y31: v128,
): void {
  const step2 = stepA << 1, step3 = step2 + stepA;
  for (let i = rows; i > 0; i--) {
    let x = v128.load32_splat(a);
    let c0 = madd(x, y00, v128.load(sums)), c1 = madd(x, y01, v128.load(sums, 16));
    x = v128.load32_splat(a + stepA);
    c0 = madd(x, y10, c0); c1 = madd(x, y11, c1);
    x = v128.load32_splat(a + step2);
    c0 = madd(x, y20, c0); c1 = madd(x, y21, c1);
    x = v128.load32_splat(a + step3);
    v128.store(sums, madd(x, y30, c0));
    v128.store(sums, madd(x, y31, c1), 16);
    a += strideA;
    sums += stride;
  }
}

/** sums += A · B of eight columns, which are lines of B: four steps of them are turned into columns. */
function addLines(rows: i32, K: i32, a: usize, strideA: usize, stepA: usize, b: usize, strideB: usize, sums: usize, stride: usize): void {
  const whole = K & ~3;
  for (let k = 0; k < whole; k += 4) {
    addTurned(rows, a, strideA, stepA, b, strideB, sums, stride);
    a += stepA << 2;
    b += 16;
  }
  for (let k = whole; k < K; k++) {
    const y0 = gatherFour(b, strideB), y1 = gatherFour(b + (strideB << 2), strideB);
    let from = a, to = sums;
    for (let i = rows; i > 0; i--, from += strideA, to += stride) {
      const x = v128.load32_splat(from), c0 = madd(x, y0, v128.load(to)), c1 = madd(x, y1, v128.load(to, 16));
      v128.store(to, endOf(c0, isLastOdd(k, K)));
      v128.store(to, endOf(c1, isLastOdd(k, K)), 16);
    }
    a += stepA;
    b += 4;
  }
}

@inline
function addTurned(rows: i32, a: usize, strideA: usize, stepA: usize, b: usize, strideB: usize, sums: usize, stride: usize): void {
  const b4 = b + (strideB << 2), stride2 = strideB << 1, stride3 = stride2 + strideB;
  const y0 = v128.load(b), y1 = v128.load(b + strideB), y2 = v128.load(b + stride2), y3 = v128.load(b + stride3);
  const z0 = v128.load(b4), z1 = v128.load(b4 + strideB), z2 = v128.load(b4 + stride2), z3 = v128.load(b4 + stride3);
  const low01 = lowPairs(y0, y1), low23 = lowPairs(y2, y3), high01 = highPairs(y0, y1), high23 = highPairs(y2, y3);
  const low45 = lowPairs(z0, z1), low67 = lowPairs(z2, z3), high45 = highPairs(z0, z1), high67 = highPairs(z2, z3);
  addFour(
    rows, a, strideA, stepA, sums, stride,
    i64x2.shuffle(low01, low23, 0, 2), i64x2.shuffle(low45, low67, 0, 2), i64x2.shuffle(low01, low23, 1, 3), i64x2.shuffle(low45, low67, 1, 3),
    i64x2.shuffle(high01, high23, 0, 2), i64x2.shuffle(high45, high67, 0, 2), i64x2.shuffle(high01, high23, 1, 3), i64x2.shuffle(high45, high67, 1, 3),
  );
}

@inline
function lowPairs(x: v128, y: v128): v128 {
  return i32x4.shuffle(x, y, 0, 4, 1, 5);
}

@inline
function highPairs(x: v128, y: v128): v128 {
  return i32x4.shuffle(x, y, 2, 6, 3, 7);
}

/** One element of each of four lines. */
@inline
function gatherFour(b: usize, strideB: usize): v128 {
  const b2 = b + (strideB << 1);
  return f32x4.replace_lane(f32x4.replace_lane(f32x4.replace_lane(f32x4.splat(load<f32>(b)), 1, load<f32>(b + strideB)), 2, load<f32>(b2)), 3, load<f32>(b2 + strideB));
}

@inline
function endOf(sum: v128, addsZero: bool): v128 {
  return addsZero ? f32x4.add(sum, f32x4.splat(0)) : sum;
}

/** One row of any number of columns. */
function multiplyRow(columns: i32, K: i32, a: usize, stepA: usize, b: usize, strideB: usize, out: usize): void {
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
    storeSome(out, left, endOf(c, addsZero));
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

/** One row, by lines of B: eight at a time, because a sum waits for itself. */
function multiplyByLines(columns: i32, K: i32, a: usize, stepA: usize, b: usize, strideB: usize, out: usize): void {
  let left = columns;
  for (; left >= 8; left -= 8, out += 32, b += strideB << 3) addEightLines(K, a, stepA, b, strideB, out);
  for (; left > 0; left -= 4, out += 16, b += strideB << 2) {
    storeSome(out, left, fourLines(K, a, stepA, b, strideB, left));
  }
}

/** The sums of eight lines of B. */
function addEightLines(K: i32, a: usize, stepA: usize, b: usize, strideB: usize, out: usize): void {
  const stride2 = strideB << 1, stride3 = stride2 + strideB;
  let b4 = b + (strideB << 2);
  let c0 = f32x4.splat(0), c1 = c0;
  for (let k = K >> 2; k > 0; k--) {
    const y0 = v128.load(b), y1 = v128.load(b + strideB), y2 = v128.load(b + stride2), y3 = v128.load(b + stride3);
    const z0 = v128.load(b4), z1 = v128.load(b4 + strideB), z2 = v128.load(b4 + stride2), z3 = v128.load(b4 + stride3);
    const low01 = lowPairs(y0, y1), low23 = lowPairs(y2, y3), low45 = lowPairs(z0, z1), low67 = lowPairs(z2, z3);
    let x = v128.load32_splat(a);
    c0 = madd(x, i64x2.shuffle(low01, low23, 0, 2), c0); c1 = madd(x, i64x2.shuffle(low45, low67, 0, 2), c1);
    x = v128.load32_splat(a + stepA);
    c0 = madd(x, i64x2.shuffle(low01, low23, 1, 3), c0); c1 = madd(x, i64x2.shuffle(low45, low67, 1, 3), c1);
    const high01 = highPairs(y0, y1), high23 = highPairs(y2, y3), high45 = highPairs(z0, z1), high67 = highPairs(z2, z3);
    x = v128.load32_splat(a + 2 * stepA);
    c0 = madd(x, i64x2.shuffle(high01, high23, 0, 2), c0); c1 = madd(x, i64x2.shuffle(high45, high67, 0, 2), c1);
    x = v128.load32_splat(a + 3 * stepA);
    c0 = madd(x, i64x2.shuffle(high01, high23, 1, 3), c0); c1 = madd(x, i64x2.shuffle(high45, high67, 1, 3), c1);
    a += stepA << 2;
    b += 16; b4 += 16;
  }
  for (let k = K & 3; k > 0; k--) {
    const x = v128.load32_splat(a);
    c0 = madd(x, gatherFour(b, strideB), c0); c1 = madd(x, gatherFour(b4, strideB), c1);
    a += stepA;
    b += 4; b4 += 4;
  }
  v128.store(out, endOf(c0, (K & 1) !== 0));
  v128.store(out, endOf(c1, (K & 1) !== 0), 16);
}

/** The sums of four lines of B; of `lines`, if that is less. */
function fourLines(K: i32, a: usize, stepA: usize, b0: usize, strideB: usize, lines: i32): v128 {
  // What is not there is read from the first line, and not used.
  let b1 = lines > 1 ? b0 + strideB : b0, b2 = lines > 2 ? b0 + 2 * strideB : b0, b3 = lines > 3 ? b0 + 3 * strideB : b0;
  let sum = f32x4.splat(0);
  for (let k = K; k > 0; k--) {
    const y = f32x4.replace_lane(f32x4.replace_lane(f32x4.replace_lane(f32x4.splat(load<f32>(b0)), 1, load<f32>(b1)), 2, load<f32>(b2)), 3, load<f32>(b3));
    sum = madd(v128.load32_splat(a), y, sum);
    a += stepA;
    b0 += 4; b1 += 4; b2 += 4; b3 += 4;
  }
  return endOf(sum, (K & 1) !== 0);
}
