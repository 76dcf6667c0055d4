// Sums, sums of squares and extremes over the middle axis of [outer, size, inner], their places in rows, and cumsum. The axis is cut into chunks that
// depend on its size alone; each chunk leaves a partial result, and a second kernel joins them in order.
import { addRun, loadTail, maxLanes, minLanes, storeTail } from './lanes';
import { madd, sumLanes } from './simd';

const MAX = 1;
const MIN = 2;
const SQUARES = 3;

@inline
function identity(op: i32): f32 {
  return op == MAX ? -Infinity : op == MIN ? Infinity : 0;
}

@inline
function join(op: i32, a: v128, b: v128): v128 {
  if (op == MAX) return f32x4.max(a, b);
  if (op == MIN) return f32x4.min(a, b);
  if (op == SQUARES) return madd(b, b, a);
  return f32x4.add(a, b);
}

@inline
function joinLanes(op: i32, value: v128): f32 {
  if (op == MAX) return maxLanes(value);
  if (op == MIN) return minLanes(value);
  return sumLanes(value);
}

@inline
function reduceRun(op: i32, from: usize, count: i32): f32 {
  const start = f32x4.splat(identity(op));
  let a = start;
  let b = start;
  let c = start;
  let d = start;
  let i = 0;
  for (; i + 16 <= count; i += 16) {
    const at = from + (i << 2);
    a = join(op, a, v128.load(at));
    b = join(op, b, v128.load(at, 16));
    c = join(op, c, v128.load(at, 32));
    d = join(op, d, v128.load(at, 48));
  }
  for (; i + 4 <= count; i += 4) a = join(op, a, v128.load(from + (i << 2)));
  if (i < count) b = join(op, b, loadTail(from + (i << 2), count - i, start));
  const later = op == SQUARES ? 0 : op; // partial sums of squares are added, not squared again
  return joinLanes(later, join(later, join(later, a, b), join(later, c, d)));
}

/** inner = 1. Items are chunks: chunk c of row r leaves one number in partial [r, c]. */
export function reduceRowChunks(
  begin: i32, end: i32, x: usize, partial: usize, size: i32, chunks: i32, chunkSize: i32, op: i32,
): void {
  for (let item = begin; item < end; item++) {
    const first = (item % chunks) * chunkSize;
    const count = min(chunkSize, size - first);
    const from = x + (((item / chunks) * size + first) << 2);
    let value: f32;
    if (op == MAX) value = reduceRun(MAX, from, count);
    else if (op == MIN) value = reduceRun(MIN, from, count);
    else if (op == SQUARES) value = reduceRun(SQUARES, from, count);
    else value = reduceRun(0, from, count);
    store<f32>(partial + (item << 2), value);
  }
}

/** Joins partial [outer, chunks] into out [outer], sums in doubles. Items are rows. */
export function joinRowChunks(begin: i32, end: i32, partial: usize, out: usize, chunks: i32, op: i32): void {
  for (let row = begin; row < end; row++) {
    const from = partial + ((row * chunks) << 2);
    let value = <f64>load<f32>(from);
    for (let chunk = 1; chunk < chunks; chunk++) {
      const next = <f64>load<f32>(from + (chunk << 2));
      value = op == MAX ? max<f64>(value, next) : op == MIN ? min<f64>(value, next) : value + next;
    }
    store<f32>(out + (row << 2), <f32>value);
  }
}

@inline
function joinRun(op: i32, to: usize, from: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) v128.store(to + (i << 2), join(op, v128.load(to + (i << 2)), v128.load(from + (i << 2))));
  const left = count - i;
  if (left == 0) return;
  const zero = f32x4.splat(0);
  storeTail(to + (i << 2), left, join(op, loadTail(to + (i << 2), left, zero), loadTail(from + (i << 2), left, zero)));
}

/** to += four rows: a quarter of the loads and stores of the sums. */
@inline
function addFourRows(to: usize, from: usize, count: i32): void {
  const bytes = count << 2;
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const at = from + (i << 2);
    const first = f32x4.add(v128.load(at), v128.load(at + bytes));
    const second = f32x4.add(v128.load(at + 2 * bytes), v128.load(at + 3 * bytes));
    v128.store(to + (i << 2), f32x4.add(v128.load(to + (i << 2)), f32x4.add(first, second)));
  }
  for (; i < count; i++) {
    const at = from + (i << 2);
    const first = load<f32>(at) + load<f32>(at + bytes);
    const second = load<f32>(at + 2 * bytes) + load<f32>(at + 3 * bytes);
    store<f32>(to + (i << 2), load<f32>(to + (i << 2)) + (first + second));
  }
}

/** inner > 1. Items are chunks: chunk c of block o leaves a row in partial [o, c, inner]. */
export function reduceColumnChunks(
  begin: i32, end: i32, x: usize, partial: usize, size: i32, inner: i32, chunks: i32, chunkRows: i32, op: i32,
): void {
  const bytes = inner << 2;
  for (let item = begin; item < end; item++) {
    const first = (item % chunks) * chunkRows;
    const last = min(first + chunkRows, size);
    const block = x + (item / chunks) * size * bytes;
    const to = partial + item * bytes;
    const start = identity(op);
    for (let j = 0; j < inner; j++) store<f32>(to + (j << 2), start);
    let row = first;
    if (op == MAX) for (; row < last; row++) joinRun(MAX, to, block + row * bytes, inner);
    else if (op == MIN) for (; row < last; row++) joinRun(MIN, to, block + row * bytes, inner);
    else {
      for (; row + 4 <= last; row += 4) addFourRows(to, block + row * bytes, inner);
      for (; row < last; row++) addRun(to, block + row * bytes, inner);
    }
  }
}

/** Joins partial [outer, chunks, inner] into out [outer, inner]. Items are blocks. */
export function joinColumnChunks(begin: i32, end: i32, partial: usize, out: usize, inner: i32, chunks: i32, op: i32): void {
  const bytes = inner << 2;
  for (let block = begin; block < end; block++) {
    const from = partial + block * chunks * bytes;
    const to = out + block * bytes;
    memory.copy(to, from, bytes);
    for (let chunk = 1; chunk < chunks; chunk++) {
      if (op == MAX) joinRun(MAX, to, from + chunk * bytes, inner);
      else if (op == MIN) joinRun(MIN, to, from + chunk * bytes, inner);
      else addRun(to, from + chunk * bytes, inner);
    }
  }
}

/** The lowest index of the largest (smallest) element of each row; NaN only where there is nothing else. Items are rows. */
export function argReduceRows(begin: i32, end: i32, x: usize, out: usize, size: i32, smallest: i32): void {
  for (let row = begin; row < end; row++) {
    const from = x + <usize>row * (<usize>size << 2);
    store<i32>(out + (<usize>row << 2), smallest != 0 ? indexOfExtreme(from, size, true) : indexOfExtreme(from, size, false));
  }
}

/** The index of the first number of a row, 0 if there is none. */
function firstNumber(from: usize, size: i32): i32 {
  for (let i = 0; i < size; i++) if (!isNaN<f32>(load<f32>(from + (i << 2)))) return i;
  return 0;
}

/** Lane l keeps the best of the elements l, l + 4, …; negated, the smallest is the largest. */
@inline
function indexOfExtreme(from: usize, size: i32, smallest: bool): i32 {
  let best = f32x4.splat(-Infinity);
  let at = i32x4.splat(0);
  let own = i32x4(0, 1, 2, 3);
  for (let i = 0; i < size; i += 4) {
    let value = i + 4 <= size ? v128.load(from + (i << 2)) : loadTail(from + (i << 2), size - i, f32x4.splat(NaN));
    if (smallest) value = f32x4.neg(value);
    const isBetter = f32x4.gt(value, best);
    best = v128.bitselect(value, best, isBetter);
    at = v128.bitselect(own, at, isBetter);
    own = i32x4.add(own, i32x4.splat(4));
  }
  const extreme = maxLanes(best);
  if (extreme == -Infinity) return firstNumber(from, size); // nothing was better: the first that is not NaN
  // Lanes that lost have an index above all.
  const candidates = v128.bitselect(at, i32x4.splat(i32.MAX_VALUE), f32x4.eq(best, f32x4.splat(extreme)));
  const pairs = i32x4.min_s(candidates, i32x4.shuffle(candidates, candidates, 2, 3, 0, 1));
  return min<i32>(i32x4.extract_lane(pairs, 0), i32x4.extract_lane(pairs, 1));
}

/** Running sums of rows, each rounded, left to right. Items are rows. */
export function cumsum(begin: i32, end: i32, x: usize, out: usize, columns: i32, exclusive: i32): void {
  for (let row = begin; row < end; row++) {
    const from = x + ((row * columns) << 2);
    const to = out + ((row * columns) << 2);
    let sum: f32 = 0;
    let i = 0;
    if (columns > 0 && exclusive == 0) {
      sum = load<f32>(from); // not 0 + x: −0 stays
      store<f32>(to, sum);
      i = 1;
    }
    for (; i < columns; i++) {
      if (exclusive != 0) store<f32>(to + (i << 2), sum);
      sum += load<f32>(from + (i << 2));
      if (exclusive == 0) store<f32>(to + (i << 2), sum);
    }
  }
}
