// Sums of outer products one side of which is of four or less: the gradients of matrices of experts of a few hidden units. The wide side passes in pieces of eight
// columns whose sums are in registers. Bits are those of multiplyOuter in gemm-pick.ts.
import { DEPTH, clearBlock, scratchOfB } from './gemm-block';
import { NARROW } from './gemm-narrow';
import { pickRows, pickScales, tables, TABLE_BYTES } from './gemm-pick';
import { loadTail } from './lanes';
import { madd } from './simd';

/** As multiplyOuter; lines or columns are at most NARROW. */
export function multiplyOuterNarrow(
  lines: i32, columns: i32, count: i32, first: i32, zeros: usize, a: usize, strideA: usize, indicesA: usize, limitA: i32,
  b: usize, strideB: usize, indicesB: usize, limitB: i32, scales: usize, out: usize, strideOut: usize, sums: usize, accumulate: bool,
): void {
  if (sums !== 0 && !accumulate) memory.fill(sums, 0, <usize>columns << 2);
  if (count === 0) {
    if (!accumulate) clearBlock(lines, columns, out, strideOut);
    return;
  }
  const picked = tables(), factors = picked + TABLE_BYTES, narrow = scratchOfB();
  for (let k = 0; k < count; k += DEPTH) {
    const height = min(DEPTH, count - k), adds = accumulate || k > 0, odd = (count & 1) !== 0 && k + height === count;
    pickRows(picked, height, b, strideB, indicesB, first + k, limitB, zeros);
    pickScales(factors, height, picked, scales, first + k, zeros);
    if (lines <= NARROW) {
      if (sums !== 0) sumRows(height, columns, picked, factors, sums);
      const lineTable = factors + TABLE_BYTES;
      pickRows(lineTable, height, a, strideA, indicesA, first + k, limitA, zeros);
      pickNarrow(narrow, height, lines, lineTable, 0);
      addWide(lines, columns, height, narrow, picked, factors, out, strideOut, 4, adds, odd);
    } else {
      pickNarrow(narrow, height, columns, picked, factors);
      if (sums !== 0) for (let i: usize = 0; i < <usize>height; i++) addValues(sums, narrow + i * (<usize>columns << 2), columns);
      pickRows(picked, height, a, strideA, indicesA, first + k, limitA, zeros);
      addWide(columns, lines, height, narrow, picked, 0, out, 4, strideOut, adds, odd);
    }
  }
}

/** The values of picked rows of `width` one after the other, times the factor of each (0: without). */
function pickNarrow(to: usize, count: i32, width: i32, picked: usize, factors: usize): void {
  for (let i: usize = 0; i < <usize>count << 2; i += 4) {
    const from = load<usize>(picked + i);
    const factor: f32 = factors == 0 ? 1 : load<f32>(factors + i);
    for (let j: usize = 0; j < <usize>width << 2; j += 4, to += 4) store<f32>(to, factors == 0 ? load<f32>(from + j) : load<f32>(from + j) * factor);
  }
}

@inline
function addValues(sums: usize, from: usize, count: i32): void {
  for (let j: usize = 0; j < <usize>count << 2; j += 4) store<f32>(sums + j, load<f32>(sums + j) + load<f32>(from + j));
}

/** sums [columns] += factor · row of each picked row, one after another. */
function sumRows(count: i32, columns: i32, picked: usize, factors: usize, sums: usize): void {
  const whole = <usize>(columns & ~3) << 2;
  for (let i: usize = 0; i < <usize>count << 2; i += 4) {
    const from = load<usize>(picked + i), factor = v128.load32_splat(factors + i);
    for (let j: usize = 0; j < whole; j += 16) v128.store(sums + j, f32x4.add(v128.load(sums + j), f32x4.mul(v128.load(from + j), factor)));
    for (let j = whole; j < <usize>columns << 2; j += 4) store<f32>(sums + j, load<f32>(sums + j) + load<f32>(from + j) * load<f32>(factors + i));
  }
}

/** out [width, columns] (+)= Σ_i narrow[i] ⊗ factor[i] · wide[i], its elements stepNarrow and stepWide bytes apart. `odd`: 0 is added last. */
function addWide(
  width: i32, columns: i32, count: i32, narrow: usize, picked: usize, factors: usize, out: usize, stepNarrow: usize, stepWide: usize, accumulate: bool, odd: bool,
): void {
  for (let j = 0; j < columns; j += 8) {
    const left = min(8, columns - j), to = out + <usize>j * stepWide, offset = <usize>j << 2;
    if (width === 1) addColumns(1, left, count, narrow, picked, offset, factors, to, stepNarrow, stepWide, accumulate, odd);
    else if (width === 2) addColumns(2, left, count, narrow, picked, offset, factors, to, stepNarrow, stepWide, accumulate, odd);
    else if (width === 3) addColumns(3, left, count, narrow, picked, offset, factors, to, stepNarrow, stepWide, accumulate, odd);
    else addColumns(4, left, count, narrow, picked, offset, factors, to, stepNarrow, stepWide, accumulate, odd);
  }
}

/** Eight columns of the wide side, or `left`, from `offset` bytes on. */
@inline
function addColumns(
  width: i32, left: i32, count: i32, narrow: usize, picked: usize, offset: usize, factors: usize, out: usize, stepNarrow: usize, stepWide: usize,
  accumulate: bool, odd: bool,
): void {
  const zero = f32x4.splat(0), second = out + (stepWide << 2), step2 = stepNarrow << 1, step3 = step2 + stepNarrow;
  let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
  if (accumulate) {
    c00 = loadApart(out, stepWide, left); c01 = loadApart(second, stepWide, left - 4);
    if (width > 1) { c10 = loadApart(out + stepNarrow, stepWide, left); c11 = loadApart(second + stepNarrow, stepWide, left - 4); }
    if (width > 2) { c20 = loadApart(out + step2, stepWide, left); c21 = loadApart(second + step2, stepWide, left - 4); }
    if (width > 3) { c30 = loadApart(out + step3, stepWide, left); c31 = loadApart(second + step3, stepWide, left - 4); }
  }
  for (let i: usize = 0; i < <usize>count << 2; i += 4, narrow += <usize>width << 2) {
    const from = load<usize>(picked + i) + offset;
    let y0: v128, y1: v128;
    if (left === 8) {
      y0 = v128.load(from); y1 = v128.load(from, 16);
    } else {
      y0 = loadSome(from, left); y1 = loadSome(from + 16, left - 4);
    }
    if (factors != 0) {
      const factor = v128.load32_splat(factors + i);
      y0 = f32x4.mul(y0, factor); y1 = f32x4.mul(y1, factor);
    }
    let x = v128.load32_splat(narrow);
    c00 = madd(x, y0, c00); c01 = madd(x, y1, c01);
    if (width > 1) { x = v128.load32_splat(narrow, 4); c10 = madd(x, y0, c10); c11 = madd(x, y1, c11); }
    if (width > 2) { x = v128.load32_splat(narrow, 8); c20 = madd(x, y0, c20); c21 = madd(x, y1, c21); }
    if (width > 3) { x = v128.load32_splat(narrow, 12); c30 = madd(x, y0, c30); c31 = madd(x, y1, c31); }
  }
  storeApart(out, stepWide, left, c00, odd); storeApart(second, stepWide, left - 4, c01, odd);
  if (width > 1) { storeApart(out + stepNarrow, stepWide, left, c10, odd); storeApart(second + stepNarrow, stepWide, left - 4, c11, odd); }
  if (width > 2) { storeApart(out + step2, stepWide, left, c20, odd); storeApart(second + step2, stepWide, left - 4, c21, odd); }
  if (width > 3) { storeApart(out + step3, stepWide, left, c30, odd); storeApart(second + step3, stepWide, left - 4, c31, odd); }
}

/** The first four floats, or `left`; zeros for the others. */
@inline
function loadSome(from: usize, left: i32): v128 {
  const zero = f32x4.splat(0);
  return left >= 4 ? v128.load(from) : left > 0 ? loadTail(from, left, zero) : zero;
}

/** Up to four floats `step` bytes apart. */
function loadApart(from: usize, step: usize, left: i32): v128 {
  if (step === 4) return loadSome(from, left);
  let value = f32x4.splat(0);
  if (left > 0) value = v128.load32_lane(from, value, 0);
  if (left > 1) value = v128.load32_lane(from + step, value, 1);
  if (left > 2) value = v128.load32_lane(from + (step << 1), value, 2);
  if (left > 3) value = v128.load32_lane(from + 3 * step, value, 3);
  return value;
}

/** Up to four lanes to places `step` bytes apart; plus 0 where `addsZero`. */
function storeApart(to: usize, step: usize, left: i32, sum: v128, addsZero: bool): void {
  const value = addsZero ? f32x4.add(sum, f32x4.splat(0)) : sum;
  if (step === 4 && left >= 4) return v128.store(to, value);
  if (left > 0) v128.store32_lane(to, value, 0);
  if (left > 1) v128.store32_lane(to + step, value, 1);
  if (left > 2) v128.store32_lane(to + (step << 1), value, 2);
  if (left > 3) v128.store32_lane(to + 3 * step, value, 3);
}
