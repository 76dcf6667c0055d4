// Products one side of which is of four or less, as experts of a few hidden units make them: tiles of 4 × 8 would compute mostly zeros. Rows are picked as in
// gemm-pick.ts, and every sum runs in ascending k to the bits of a tile: where K is odd, 0 is added last.
import { clearBlock, scratchOfB } from './gemm-block';
import { pickRows, tables } from './gemm-pick';
import { loadTail, storeTail } from './lanes';
import { madd } from './simd';

/** The longest side that is called narrow. */
export const NARROW: i32 = 4;

/** Rows whose sums are made at once: of a single column, where a vector holds those of four rows; and of up to four columns, where it holds those of one. */
const COLUMN_ROWS: i32 = 16;
const NARROW_ROWS: i32 = 8;
/** Of four columns, how many steps of K are packed at once. */
const STEPS: i32 = 4096;

/** As multiplyPicked; columns or K are at most NARROW. */
export function multiplyPickedNarrow(
  rows: i32, columns: i32, K: i32, a: usize, strideA: usize, indices: usize, first: i32, limit: i32, zeros: usize,
  b: usize, strideB: usize, transposeB: bool, out: usize, strideOut: usize,
): void {
  if (K === 0) return clearBlock(rows, columns, out, strideOut);
  const table = tables();
  pickRows(table, rows, a, strideA, indices, first, limit, zeros);
  if (columns > NARROW) return fromNarrow(rows, columns, K, table, b, strideB, transposeB, out, strideOut);
  for (let i = (rows + 3) & ~3; i % COLUMN_ROWS !== 0; i++) store<usize>(table + (<usize>i << 2), zeros);
  if (columns === 1 && (transposeB || strideB === 4)) toColumn(rows, K, table, b, out, strideOut);
  else toNarrow(rows, columns, K, table, b, strideB, transposeB, out, strideOut);
}

/** One column, whose K values lie side by side: the sums of COLUMN_ROWS rows, 4 × 4 elements of which are turned at a time. */
function toColumn(rows: i32, K: i32, picked: usize, b: usize, out: usize, strideOut: usize): void {
  const zero = f32x4.splat(0), whole = <usize>(K & ~3) << 2;
  for (let i = 0; i < rows; i += COLUMN_ROWS, picked += COLUMN_ROWS << 2) {
    let c0 = zero, c1 = zero, c2 = zero, c3 = zero;
    for (let k: usize = 0; k < whole; k += 16) {
      const x0 = v128.load32_splat(b + k), x1 = v128.load32_splat(b + k, 4), x2 = v128.load32_splat(b + k, 8), x3 = v128.load32_splat(b + k, 12);
      c0 = addTurned(picked, k, x0, x1, x2, x3, c0);
      c1 = addTurned(picked + 16, k, x0, x1, x2, x3, c1);
      c2 = addTurned(picked + 32, k, x0, x1, x2, x3, c2);
      c3 = addTurned(picked + 48, k, x0, x1, x2, x3, c3);
    }
    for (let k = whole; k < <usize>K << 2; k += 4) {
      const x = v128.load32_splat(b + k);
      c0 = madd(x, elementsOf(picked, k), c0);
      c1 = madd(x, elementsOf(picked + 16, k), c1);
      c2 = madd(x, elementsOf(picked + 32, k), c2);
      c3 = madd(x, elementsOf(picked + 48, k), c3);
    }
    if (K & 1) {
      c0 = f32x4.add(c0, zero); c1 = f32x4.add(c1, zero); c2 = f32x4.add(c2, zero); c3 = f32x4.add(c3, zero);
    }
    const to = out + <usize>i * strideOut, left = rows - i;
    scatterFour(to, strideOut, left, c0);
    scatterFour(to + (strideOut << 2), strideOut, left - 4, c1);
    scatterFour(to + (strideOut << 3), strideOut, left - 8, c2);
    scatterFour(to + 12 * strideOut, strideOut, left - 12, c3);
  }
}

/** c += four steps, from `offset` bytes on, of four picked rows. */
@inline
function addTurned(picked: usize, offset: usize, x0: v128, x1: v128, x2: v128, x3: v128, c: v128): v128 {
  const y0 = v128.load(load<usize>(picked) + offset), y1 = v128.load(load<usize>(picked, 4) + offset);
  const y2 = v128.load(load<usize>(picked, 8) + offset), y3 = v128.load(load<usize>(picked, 12) + offset);
  const low01 = i32x4.shuffle(y0, y1, 0, 4, 1, 5), high01 = i32x4.shuffle(y0, y1, 2, 6, 3, 7);
  const low23 = i32x4.shuffle(y2, y3, 0, 4, 1, 5), high23 = i32x4.shuffle(y2, y3, 2, 6, 3, 7);
  c = madd(x0, i64x2.shuffle(low01, low23, 0, 2), c);
  c = madd(x1, i64x2.shuffle(low01, low23, 1, 3), c);
  c = madd(x2, i64x2.shuffle(high01, high23, 0, 2), c);
  return madd(x3, i64x2.shuffle(high01, high23, 1, 3), c);
}

/** The element `offset` bytes from the beginning of each of four picked rows. */
@inline
function elementsOf(picked: usize, offset: usize): v128 {
  let value = v128.load32_splat(load<usize>(picked) + offset);
  value = v128.load32_lane(load<usize>(picked, 4) + offset, value, 1);
  value = v128.load32_lane(load<usize>(picked, 8) + offset, value, 2);
  return v128.load32_lane(load<usize>(picked, 12) + offset, value, 3);
}

/** The first `count` lanes, each to a row of its own. */
@inline
function scatterFour(to: usize, stride: usize, count: i32, value: v128): void {
  if (count >= 4 && stride === 4) return v128.store(to, value);
  if (count > 0) v128.store32_lane(to, value, 0);
  if (count > 1) v128.store32_lane(to + stride, value, 1);
  if (count > 2) v128.store32_lane(to + (stride << 1), value, 2);
  if (count > 3) v128.store32_lane(to + 3 * stride, value, 3);
}

/** Up to four columns: B is laid out as [K, 4] with zeros, and a vector holds the sums of a row. */
function toNarrow(rows: i32, columns: i32, K: i32, picked: usize, b: usize, strideB: usize, transposeB: bool, out: usize, strideOut: usize): void {
  const sums = scratchOfB(), packed = sums + ((<usize>rows + NARROW_ROWS) << 4);
  const stepK: usize = transposeB ? 4 : strideB, stepColumn: usize = transposeB ? strideB : 4;
  for (let k = 0; k < K; k += STEPS) {
    const height = min(STEPS, K - k);
    packFour(b + <usize>k * stepK, stepK, stepColumn, height, columns, packed);
    for (let i = 0; i < rows; i += NARROW_ROWS) addNarrowRows(height, picked + (<usize>i << 2), <usize>k << 2, packed, sums + (<usize>i << 4), k > 0);
  }
  const zero = f32x4.splat(0);
  for (let i: usize = 0; i < <usize>rows; i++) {
    let sum = v128.load(sums + (i << 4));
    if (K & 1) sum = f32x4.add(sum, zero);
    if (columns === 4) v128.store(out + i * strideOut, sum);
    else storeTail(out + i * strideOut, columns, sum);
  }
}

/** [K, columns] → [K, 4], zeros in the columns that are not there. */
function packFour(from: usize, stepK: usize, stepColumn: usize, K: i32, columns: i32, to: usize): void {
  for (let k = K; k > 0; k--, from += stepK, to += 16) {
    v128.store(to, f32x4.splat(0));
    for (let j: usize = 0; j < <usize>columns; j++) store<f32>(to + (j << 2), load<f32>(from + j * stepColumn));
  }
}

/** sums [NARROW_ROWS, 4] = picked rows, from `offset` bytes on, · B [K, 4], or added to what is there. */
function addNarrowRows(K: i32, picked: usize, offset: usize, b: usize, sums: usize, accumulate: bool): void {
  let a0 = load<usize>(picked) + offset, a1 = load<usize>(picked, 4) + offset, a2 = load<usize>(picked, 8) + offset, a3 = load<usize>(picked, 12) + offset;
  let a4 = load<usize>(picked, 16) + offset, a5 = load<usize>(picked, 20) + offset, a6 = load<usize>(picked, 24) + offset, a7 = load<usize>(picked, 28) + offset;
  let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
  if (accumulate) {
    c0 = v128.load(sums); c1 = v128.load(sums, 16); c2 = v128.load(sums, 32); c3 = v128.load(sums, 48);
    c4 = v128.load(sums, 64); c5 = v128.load(sums, 80); c6 = v128.load(sums, 96); c7 = v128.load(sums, 112);
  }
  for (const end = b + (<usize>K << 4); b !== end; b += 16) {
    const y = v128.load(b);
    c0 = madd(v128.load32_splat(a0), y, c0); c1 = madd(v128.load32_splat(a1), y, c1);
    c2 = madd(v128.load32_splat(a2), y, c2); c3 = madd(v128.load32_splat(a3), y, c3);
    c4 = madd(v128.load32_splat(a4), y, c4); c5 = madd(v128.load32_splat(a5), y, c5);
    c6 = madd(v128.load32_splat(a6), y, c6); c7 = madd(v128.load32_splat(a7), y, c7);
    a0 += 4; a1 += 4; a2 += 4; a3 += 4; a4 += 4; a5 += 4; a6 += 4; a7 += 4;
  }
  v128.store(sums, c0); v128.store(sums, c1, 16); v128.store(sums, c2, 32); v128.store(sums, c3, 48);
  v128.store(sums, c4, 64); v128.store(sums, c5, 80); v128.store(sums, c6, 96); v128.store(sums, c7, 112);
}

/** Picked rows of K ≤ NARROW, times B: lines of B lie in the first-level cache while the rows pass. */
function fromNarrow(rows: i32, columns: i32, K: i32, picked: usize, b: usize, strideB: usize, transposeB: bool, out: usize, strideOut: usize): void {
  if (transposeB && K > 1) {
    const lines = scratchOfB(), bytes = <usize>columns << 2;
    for (let j: usize = 0; j < <usize>columns; j++) {
      for (let k: usize = 0; k < <usize>K; k++) store<f32>(lines + k * bytes + (j << 2), load<f32>(b + j * strideB + (k << 2)));
    }
    b = lines;
    strideB = bytes;
  }
  for (let i = 0; i < rows; i++, picked += 4, out += strideOut) {
    const a = load<usize>(picked);
    if (K === 1) rowFromNarrow(1, columns, a, b, strideB, out);
    else if (K === 2) rowFromNarrow(2, columns, a, b, strideB, out);
    else if (K === 3) rowFromNarrow(3, columns, a, b, strideB, out);
    else rowFromNarrow(4, columns, a, b, strideB, out);
  }
}

@inline
function rowFromNarrow(K: i32, columns: i32, a: usize, b: usize, strideB: usize, out: usize): void {
  const zero = f32x4.splat(0), b1 = b + strideB, b2 = b1 + strideB, b3 = b2 + strideB;
  const x0 = v128.load32_splat(a);
  const x1 = K > 1 ? v128.load32_splat(a, 4) : zero, x2 = K > 2 ? v128.load32_splat(a, 8) : zero, x3 = K > 3 ? v128.load32_splat(a, 12) : zero;
  const whole = <usize>(columns & ~3) << 2;
  let j: usize = 0;
  for (; j < whole; j += 16) {
    let c = madd(x0, v128.load(b + j), zero);
    if (K > 1) c = madd(x1, v128.load(b1 + j), c);
    if (K > 2) c = madd(x2, v128.load(b2 + j), c);
    if (K > 3) c = madd(x3, v128.load(b3 + j), c);
    v128.store(out + j, K & 1 ? f32x4.add(c, zero) : c);
  }
  const left = columns & 3;
  if (left === 0) return;
  let c = madd(x0, loadTail(b + j, left, zero), zero);
  if (K > 1) c = madd(x1, loadTail(b1 + j, left, zero), c);
  if (K > 2) c = madd(x2, loadTail(b2 + j, left, zero), c);
  if (K > 3) c = madd(x3, loadTail(b3 + j, left, zero), c);
  storeTail(out + j, left, K & 1 ? f32x4.add(c, zero) : c);
}
