// biasActivation and its gradient over rows that belong to segments with a bias each. GELU (Hendrycks and Gimpel 2016) in
// its tanh form needs no tanh: ½·(1 + tanh u) is the logistic function of 2u.
import { addRun, loadTail, storeTail } from './lanes';
import { erf4, expSaturated4 } from './math';
import { madd, spread } from './simd';

export const RELU = 1;
export const GELU_TANH = 2;
export const GELU_ERF = 3;

/** 2u = x·(LINEAR + CUBIC·x²), with u = √(2/π)·(x + 0.044715·x³): LINEAR, CUBIC, 3·CUBIC, 1. */
const GELU = memory.data<f32>([1.5957691216057308, 0.07135481627260025, 0.21406444881780075, 1]);
/** Beyond ±20 GELU is x or 0 and its slope 1 or 0, but products of the formulas may be ∞ · 0, or a power of x times what e^−87 leaves. */
const FAR = memory.data<f32>([-20, 20]);
/** ½, √½, −½, 1/√(2π). */
const NORMAL = memory.data<f32>([0.5, 0.7071067811865476, -0.5, 0.3989422804014327]);

/** x, at least −20; NaN stays. */
@inline
function notFarBelow(x: v128): v128 {
  return f32x4.pmax(x, spread(FAR, 0));
}

@inline
function activate(kind: i32, x: v128): v128 {
  if (kind == RELU) return f32x4.pmax(x, f32x4.splat(0));
  if (kind == GELU_TANH) {
    x = notFarBelow(x);
    const u = f32x4.mul(x, madd(f32x4.mul(x, x), spread(GELU, 1), spread(GELU, 0)));
    return f32x4.div(x, f32x4.add(spread(GELU, 3), expSaturated4(f32x4.neg(u))));
  }
  if (kind == GELU_ERF) {
    x = notFarBelow(x);
    const half = f32x4.mul(x, spread(NORMAL, 0));
    return madd(half, erf4(f32x4.mul(x, spread(NORMAL, 1))), half);
  }
  return x;
}

/** What activation and slope share: e^−2u of the tanh form, Φ(x) of the erf form, nothing of the others. */
@inline
export function gateOf(kind: i32, x: v128): v128 {
  if (kind == GELU_TANH) {
    const u = f32x4.mul(x, madd(f32x4.mul(x, x), spread(GELU, 1), spread(GELU, 0)));
    return expSaturated4(f32x4.neg(u));
  }
  if (kind == GELU_ERF) return madd(erf4(f32x4.mul(x, spread(NORMAL, 1))), spread(NORMAL, 0), spread(NORMAL, 0));
  return x;
}

/** activation(x), with gate = gateOf(x). */
@inline
export function activateGated(kind: i32, x: v128, gate: v128): v128 {
  if (kind == RELU) return f32x4.pmax(x, f32x4.splat(0));
  if (kind == GELU_TANH) return f32x4.mul(notFarBelow(x), f32x4.div(spread(GELU, 3), f32x4.add(spread(GELU, 3), gate)));
  if (kind == GELU_ERF) return f32x4.mul(notFarBelow(x), gate);
  return x;
}

/** d activation / dx, with gate = gateOf(x); that of ReLU at 0 is 0. */
@inline
export function slopeGated(kind: i32, x: v128, gate: v128): v128 {
  const one = spread(GELU, 3);
  if (kind == RELU) return v128.and(one, f32x4.gt(x, f32x4.splat(0)));
  x = f32x4.pmin(notFarBelow(x), spread(FAR, 1));
  const square = f32x4.mul(x, x);
  if (kind == GELU_TANH) {
    const s = f32x4.div(one, f32x4.add(one, gate));
    // s + x·s·(1 − s)·(2u)', and 1 − s = e·s without cancellation.
    const inner = f32x4.mul(f32x4.mul(x, f32x4.mul(gate, s)), madd(square, spread(GELU, 2), spread(GELU, 0)));
    return madd(s, inner, s);
  }
  if (kind == GELU_ERF) {
    const density = f32x4.mul(expSaturated4(f32x4.mul(square, spread(NORMAL, 2))), spread(NORMAL, 3));
    return madd(x, density, gate);
  }
  return one;
}

@inline
function slope(kind: i32, x: v128): v128 {
  return slopeGated(kind, x, gateOf(kind, x));
}

/** out = activation(x + bias) and, unless it is 0, pre = x + bias; bias may be 0. */
@inline
function activateRow(kind: i32, x: usize, bias: usize, pre: usize, out: usize, columns: i32): void {
  let j = 0;
  for (; j + 8 <= columns; j += 8) {
    const at = j << 2;
    let x0 = v128.load(x + at), x1 = v128.load(x + at, 16);
    if (bias != 0) {
      x0 = f32x4.add(x0, v128.load(bias + at));
      x1 = f32x4.add(x1, v128.load(bias + at, 16));
    }
    if (pre != 0) {
      v128.store(pre + at, x0);
      v128.store(pre + at, x1, 16);
    }
    const y0 = activate(kind, x0), y1 = activate(kind, x1);
    v128.store(out + at, y0);
    v128.store(out + at, y1, 16);
  }
  for (; j + 4 <= columns; j += 4) {
    let value = v128.load(x + (j << 2));
    if (bias != 0) value = f32x4.add(value, v128.load(bias + (j << 2)));
    if (pre != 0) v128.store(pre + (j << 2), value);
    v128.store(out + (j << 2), activate(kind, value));
  }
  const left = columns - j;
  if (left == 0) return;
  const zero = f32x4.splat(0);
  let value = loadTail(x + (j << 2), left, zero);
  if (bias != 0) value = f32x4.add(value, loadTail(bias + (j << 2), left, zero));
  if (pre != 0) storeTail(pre + (j << 2), left, value);
  storeTail(out + (j << 2), left, activate(kind, value));
}

/** activateRow of any kind. */
function activateAny(kind: i32, x: usize, bias: usize, pre: usize, out: usize, columns: i32): void {
  if (kind == GELU_TANH) activateRow(GELU_TANH, x, bias, pre, out, columns);
  else if (kind == GELU_ERF) activateRow(GELU_ERF, x, bias, pre, out, columns);
  else if (kind == RELU) activateRow(RELU, x, bias, pre, out, columns);
  else activateRow(0, x, bias, pre, out, columns);
}

/**
 * The epilogue of a block of products: activateRow in place on rows `stride` bytes apart, those of `pre` `stridePre`. A row whose entry
 * of `picked` (0: all are there) is outside 0 … limit − 1 becomes zero.
 */
export function activateRows(
  kind: i32, rows: i32, columns: i32, picked: usize, limit: i32, bias: usize, out: usize, stride: usize, pre: usize, stridePre: usize,
): void {
  const plain = kind == 0 && bias == 0 && pre == 0;
  for (let row = 0; row < rows; row++) {
    if (picked != 0 && <u32>load<i32>(picked + (<usize>row << 2)) >= <u32>limit) {
      memory.fill(out, 0, <usize>columns << 2);
      if (pre != 0) memory.fill(pre, 0, <usize>columns << 2);
    } else if (!plain) {
      activateAny(kind, out, bias, pre, out, columns);
    }
    out += stride;
    if (pre != 0) pre += stridePre;
  }
}

/** The first group whose segment ends after `row`; `groups` if none does. Without offsets all rows are group 0. */
@inline
function groupOf(row: i32, offsets: usize, groups: i32): i32 {
  let group = 0;
  if (offsets != 0) while (group < groups && row >= load<i32>(offsets + (group << 2), 4)) group++;
  return group;
}

/** Items are rows. `bias` and `offsets` may be 0. */
export function biasActivation(
  begin: i32, end: i32, x: usize, bias: usize, offsets: usize, groups: i32, out: usize, columns: i32, kind: i32,
): void {
  const bytes = columns << 2;
  let group = groupOf(begin, offsets, groups);
  for (let row = begin; row < end; row++) {
    if (offsets != 0) while (group < groups && row >= load<i32>(offsets + (group << 2), 4)) group++;
    if (group >= groups) {
      memory.fill(out + row * bytes, 0, (end - row) * bytes);
      return;
    }
    const from = x + row * bytes;
    const to = out + row * bytes;
    const shift: usize = bias == 0 ? 0 : bias + group * bytes;
    activateAny(kind, from, shift, 0, to, columns);
  }
}

/** dx of one row; adds it to `sums` unless that is 0. */
@inline
function slopeRow(kind: i32, x: usize, bias: usize, dy: usize, dx: usize, sums: usize, columns: i32): void {
  const zero = f32x4.splat(0);
  let j = 0;
  for (; j + 8 <= columns; j += 8) {
    const at = j << 2;
    let x0 = v128.load(x + at), x1 = v128.load(x + at, 16);
    if (bias != 0) {
      x0 = f32x4.add(x0, v128.load(bias + at));
      x1 = f32x4.add(x1, v128.load(bias + at, 16));
    }
    const f0 = f32x4.mul(v128.load(dy + at), slope(kind, x0)), f1 = f32x4.mul(v128.load(dy + at, 16), slope(kind, x1));
    v128.store(dx + at, f0);
    v128.store(dx + at, f1, 16);
    if (sums != 0) {
      const s0 = f32x4.add(v128.load(sums + at), f0), s1 = f32x4.add(v128.load(sums + at, 16), f1);
      v128.store(sums + at, s0);
      v128.store(sums + at, s1, 16);
    }
  }
  for (; j + 4 <= columns; j += 4) {
    const at = j << 2;
    let value = v128.load(x + at);
    if (bias != 0) value = f32x4.add(value, v128.load(bias + at));
    const flow = f32x4.mul(v128.load(dy + at), slope(kind, value));
    v128.store(dx + at, flow);
    if (sums != 0) v128.store(sums + at, f32x4.add(v128.load(sums + at), flow));
  }
  const left = columns - j;
  if (left == 0) return;
  const at = j << 2;
  let value = loadTail(x + at, left, zero);
  if (bias != 0) value = f32x4.add(value, loadTail(bias + at, left, zero));
  const flow = f32x4.mul(loadTail(dy + at, left, zero), slope(kind, value));
  storeTail(dx + at, left, flow);
  if (sums != 0) storeTail(sums + at, left, f32x4.add(loadTail(sums + at, left, zero), flow));
}

/**
 * Items are chunks of `chunkRows` rows. The sums of chunk c over segment g go to row c + g of `partial` (0: not wanted):
 * along the rows c or g grows from piece to piece, so no two pieces share a row.
 */
export function biasActivationGrad(
  begin: i32, end: i32, x: usize, bias: usize, offsets: usize, groups: i32, dy: usize, dx: usize, partial: usize,
  rows: i32, columns: i32, chunkRows: i32, kind: i32,
): void {
  const bytes = columns << 2;
  const last = min(end * chunkRows, rows);
  let group = groupOf(begin * chunkRows, offsets, groups);
  let piece = -1;
  for (let row = begin * chunkRows; row < last; row++) {
    if (offsets != 0) while (group < groups && row >= load<i32>(offsets + (group << 2), 4)) group++;
    if (group >= groups) {
      memory.fill(dx + row * bytes, 0, (last - row) * bytes);
      return;
    }
    const current = row / chunkRows + group;
    const sums: usize = partial == 0 ? 0 : partial + current * bytes;
    if (partial != 0 && current != piece) memory.fill(sums, 0, bytes);
    piece = current;
    const shift: usize = bias == 0 ? 0 : bias + group * bytes;
    const from = x + row * bytes;
    const flow = dy + row * bytes;
    const to = dx + row * bytes;
    if (kind == GELU_TANH) slopeRow(GELU_TANH, from, shift, flow, to, sums, columns);
    else if (kind == GELU_ERF) slopeRow(GELU_ERF, from, shift, flow, to, sums, columns);
    else if (kind == RELU) slopeRow(RELU, from, shift, flow, to, sums, columns);
    else slopeRow(0, from, shift, flow, to, sums, columns);
  }
}

/** Adds the pieces of each group, in order, into dbias [groups, columns]. Items are groups. */
export function biasGradFromPieces(
  begin: i32, end: i32, partial: usize, offsets: usize, dbias: usize, rows: i32, columns: i32, chunkRows: i32,
): void {
  const bytes = columns << 2;
  for (let group = begin; group < end; group++) {
    const from = offsets == 0 ? 0 : load<i32>(offsets + (group << 2));
    const to = offsets == 0 ? rows : load<i32>(offsets + (group << 2), 4);
    const sums = dbias + group * bytes;
    memory.fill(sums, 0, bytes);
    if (to <= from) continue;
    const lastChunk = (to - 1) / chunkRows;
    for (let chunk = from / chunkRows; chunk <= lastChunk; chunk++) addRun(sums, partial + (chunk + group) * bytes, columns);
  }
}
