// Element-wise kernels: unary ops, and binary ops of equal shapes, rows and scalars. Items are elements (or rows).
// Every element goes through the same vector arithmetic, wherever the range is cut.
import { loadTail, storeTail } from './lanes';
import { erf4, exp4, log4, sigmoid4, tanh4 } from './math';

@inline
function applyUnary(op: i32, x: v128): v128 {
  switch (op) {
    case 0: return f32x4.neg(x);
    case 1: return f32x4.abs(x);
    case 2: return signOf(x);
    case 3: return exp4(x);
    case 4: return log4(x);
    case 5: return f32x4.sqrt(x);
    case 6: return f32x4.div(f32x4.splat(1), f32x4.sqrt(x));
    case 7: return f32x4.mul(x, x);
    case 8: return f32x4.div(f32x4.splat(1), x);
    case 9: return tanh4(x);
    case 10: return erf4(x);
    case 11: return sigmoid4(x);
    case 12: return f32x4.pmax(x, f32x4.splat(0)); // NaN stays: it is not below 0
    case 13: return f32x4.floor(x);
    default: return f32x4.ceil(x);
  }
}

/** ±1, and x itself where it is zero or NaN. */
@inline
function signOf(x: v128): v128 {
  const one = v128.bitselect(x, f32x4.splat(1), i32x4.splat(0x80000000));
  const isNumber = v128.or(f32x4.lt(x, f32x4.splat(0)), f32x4.gt(x, f32x4.splat(0)));
  return v128.bitselect(one, x, isNumber);
}

@inline
function unaryLoop(op: i32, begin: i32, end: i32, x: usize, out: usize): void {
  let at = begin;
  for (; at + 4 <= end; at += 4) v128.store(out + (at << 2), applyUnary(op, v128.load(x + (at << 2))));
  const left = end - at;
  if (left > 0) storeTail(out + (at << 2), left, applyUnary(op, loadTail(x + (at << 2), left, f32x4.splat(1))));
}

/** out[i] = op(x[i]). The codes of `op` are those of src/engine/kernels/elementwise.ts. */
export function unary(begin: i32, end: i32, x: usize, out: usize, op: i32): void {
  switch (op) {
    case 0: unaryLoop(0, begin, end, x, out); break;
    case 1: unaryLoop(1, begin, end, x, out); break;
    case 2: unaryLoop(2, begin, end, x, out); break;
    case 3: unaryLoop(3, begin, end, x, out); break;
    case 4: unaryLoop(4, begin, end, x, out); break;
    case 5: unaryLoop(5, begin, end, x, out); break;
    case 6: unaryLoop(6, begin, end, x, out); break;
    case 7: unaryLoop(7, begin, end, x, out); break;
    case 8: unaryLoop(8, begin, end, x, out); break;
    case 9: unaryLoop(9, begin, end, x, out); break;
    case 10: unaryLoop(10, begin, end, x, out); break;
    case 11: unaryLoop(11, begin, end, x, out); break;
    case 12: unaryLoop(12, begin, end, x, out); break;
    case 13: unaryLoop(13, begin, end, x, out); break;
    default: unaryLoop(14, begin, end, x, out);
  }
}

@inline
function applyBinary(op: i32, a: v128, b: v128): v128 {
  switch (op) {
    case 0: return f32x4.add(a, b);
    case 1: return f32x4.sub(a, b);
    case 2: return f32x4.mul(a, b);
    case 3: return f32x4.div(a, b);
    case 4: return f32x4.max(a, b);
    default: return f32x4.min(a, b);
  }
}

/** out[i] = op(a[i·stepA], b[i·stepB]) for i < count; a step is 1, or 0 to repeat one element. */
@inline
function binaryRun(op: i32, a: usize, stepA: i32, b: usize, stepB: i32, out: usize, count: i32): void {
  const one = f32x4.splat(1);
  let i = 0;
  if (stepA != 0 && stepB != 0) {
    for (; i + 4 <= count; i += 4) {
      v128.store(out + (i << 2), applyBinary(op, v128.load(a + (i << 2)), v128.load(b + (i << 2))));
    }
  } else if (stepA != 0) {
    const right = v128.load32_splat(b);
    for (; i + 4 <= count; i += 4) v128.store(out + (i << 2), applyBinary(op, v128.load(a + (i << 2)), right));
  } else {
    const left = v128.load32_splat(a);
    if (stepB == 0) {
      const value = applyBinary(op, left, v128.load32_splat(b));
      for (; i < count; i++) v128.store32_lane(out + (i << 2), value, 0);
      return;
    }
    for (; i + 4 <= count; i += 4) v128.store(out + (i << 2), applyBinary(op, left, v128.load(b + (i << 2))));
  }
  const rest = count - i;
  if (rest == 0) return;
  const left = stepA != 0 ? loadTail(a + (i << 2), rest, one) : v128.load32_splat(a);
  const right = stepB != 0 ? loadTail(b + (i << 2), rest, one) : v128.load32_splat(b);
  storeTail(out + (i << 2), rest, applyBinary(op, left, right));
}

function binaryRunOf(op: i32, a: usize, stepA: i32, b: usize, stepB: i32, out: usize, count: i32): void {
  switch (op) {
    case 0: binaryRun(0, a, stepA, b, stepB, out, count); break;
    case 1: binaryRun(1, a, stepA, b, stepB, out, count); break;
    case 2: binaryRun(2, a, stepA, b, stepB, out, count); break;
    case 3: binaryRun(3, a, stepA, b, stepB, out, count); break;
    case 4: binaryRun(4, a, stepA, b, stepB, out, count); break;
    default: binaryRun(5, a, stepA, b, stepB, out, count);
  }
}

/** One flat run; items are elements. */
export function binaryFlat(begin: i32, end: i32, a: usize, stepA: i32, b: usize, stepB: i32, out: usize, op: i32): void {
  binaryRunOf(op, a + ((begin * stepA) << 2), stepA, b + ((begin * stepB) << 2), stepB, out + (begin << 2), end - begin);
}

/** Rows of `columns`; `rowA` and `rowB` are the distances of their rows in elements (0: the same row again). */
export function binaryRows(
  begin: i32, end: i32, a: usize, rowA: i32, stepA: i32, b: usize, rowB: i32, stepB: i32, out: usize, columns: i32, op: i32,
): void {
  for (let row = begin; row < end; row++) {
    binaryRunOf(op, a + ((row * rowA) << 2), stepA, b + ((row * rowB) << 2), stepB, out + ((row * columns) << 2), columns);
  }
}
