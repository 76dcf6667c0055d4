// Element-wise kernels: unary ops, and binary ops and choices of equal shapes, rows and scalars. Items are elements (or rows).
// Every element goes through the same vector arithmetic, wherever the range is cut.
import { loadTail, storeTail } from './lanes';
import { erf4, exp4, log4, sigmoid4, tanh4 } from './math';
import { copyBytes } from './movement';

const NEGATE = 0;
const ABS = 1;
const SIGN = 2;
const EXP = 3;
const LOG = 4;
const SQRT = 5;
const RSQRT = 6;
const SQUARE = 7;
const RECIPROCAL = 8;
const TANH = 9;
const ERF = 10;
const SIGMOID = 11;
const RELU = 12;
const FLOOR = 13;
const CEIL = 14;

@inline
function applyUnary(op: i32, x: v128): v128 {
  if (op == NEGATE) return f32x4.neg(x);
  if (op == ABS) return f32x4.abs(x);
  if (op == SIGN) return signOf(x);
  if (op == EXP) return exp4(x);
  if (op == LOG) return log4(x);
  if (op == SQRT) return f32x4.sqrt(x);
  if (op == RSQRT) return f32x4.div(f32x4.splat(1), f32x4.sqrt(x));
  if (op == SQUARE) return f32x4.mul(x, x);
  if (op == RECIPROCAL) return f32x4.div(f32x4.splat(1), x);
  if (op == TANH) return tanh4(x);
  if (op == ERF) return erf4(x);
  if (op == SIGMOID) return sigmoid4(x);
  if (op == RELU) return f32x4.pmax(x, f32x4.splat(0)); // NaN stays: it is not below 0
  if (op == FLOOR) return f32x4.floor(x);
  return f32x4.ceil(x);
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

// One function per op: in a switch of loops the optimiser would fold all loops into one with the switch inside.
export function negate(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(NEGATE, begin, end, x, out);
}
export function abs(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(ABS, begin, end, x, out);
}
export function sign(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(SIGN, begin, end, x, out);
}
export function exp(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(EXP, begin, end, x, out);
}
export function log(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(LOG, begin, end, x, out);
}
export function sqrt(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(SQRT, begin, end, x, out);
}
export function rsqrt(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(RSQRT, begin, end, x, out);
}
export function square(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(SQUARE, begin, end, x, out);
}
export function reciprocal(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(RECIPROCAL, begin, end, x, out);
}
export function tanh(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(TANH, begin, end, x, out);
}
export function erf(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(ERF, begin, end, x, out);
}
export function sigmoid(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(SIGMOID, begin, end, x, out);
}
export function relu(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(RELU, begin, end, x, out);
}
export function floor(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(FLOOR, begin, end, x, out);
}
export function ceil(begin: i32, end: i32, x: usize, out: usize): void {
  unaryLoop(CEIL, begin, end, x, out);
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

/** out[i] = condition[i·stepC] ? a[i·stepA] : b[i·stepB], of any 4 bytes, for i < count; steps as in binaryRun. */
@inline
function selectRun(condition: usize, stepC: i32, a: usize, stepA: i32, b: usize, stepB: i32, out: usize, count: i32): void {
  if (stepC == 0) {
    const isLeft = load<u8>(condition) != 0;
    const from = isLeft ? a : b;
    if ((isLeft ? stepA : stepB) != 0) return copyBytes(out, from, count << 2);
    const value = load<i32>(from);
    for (let i = 0; i < count; i++) store<i32>(out + (i << 2), value);
    return;
  }
  for (let i = 0; i < count; i++) {
    const from = load<u8>(condition + i) != 0 ? a + ((i * stepA) << 2) : b + ((i * stepB) << 2);
    store<i32>(out + (i << 2), load<i32>(from));
  }
}

/** One flat run; items are elements. `condition` is bytes. */
export function selectFlat(begin: i32, end: i32, condition: usize, stepC: i32, a: usize, stepA: i32, b: usize, stepB: i32, out: usize): void {
  selectRun(
    condition + begin * stepC, stepC, a + ((begin * stepA) << 2), stepA, b + ((begin * stepB) << 2), stepB, out + (begin << 2), end - begin,
  );
}

/** As binaryRows. */
export function selectRows(
  begin: i32, end: i32, condition: usize, rowC: i32, stepC: i32, a: usize, rowA: i32, stepA: i32, b: usize, rowB: i32, stepB: i32,
  out: usize, columns: i32,
): void {
  for (let row = begin; row < end; row++) {
    selectRun(
      condition + row * rowC, stepC, a + ((row * rowA) << 2), stepA, b + ((row * rowB) << 2), stepB, out + ((row * columns) << 2), columns,
    );
  }
}
