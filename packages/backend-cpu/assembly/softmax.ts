// softmax and its gradient over the last axis. Items are rows.
import { loadTail, maxLanes, scaleRun, storeTail } from './lanes';
import { expNegative4 } from './math';
import { madd, sumLanes } from './simd';

/** The largest of `count` floats, −∞ of none. A NaN is passed over, unless there is nothing above −∞ beside it. */
@inline
export function maxOfRun(from: usize, count: i32): f32 {
  const lowest = f32x4.splat(-Infinity);
  let even = lowest;
  let odd = lowest;
  let i = 0;
  // pmax is one instruction where max, which keeps NaN, is seven.
  for (; i + 8 <= count; i += 8) {
    even = f32x4.pmax(even, v128.load(from + (i << 2)));
    odd = f32x4.pmax(odd, v128.load(from + (i << 2), 16));
  }
  if (i + 4 <= count) {
    even = f32x4.pmax(even, v128.load(from + (i << 2)));
    i += 4;
  }
  if (i < count) odd = f32x4.pmax(odd, loadTail(from + (i << 2), count - i, lowest));
  const largest = maxLanes(f32x4.pmax(even, odd));
  if (largest == -Infinity) {
    for (i = 0; i < count; i++) if (isNaN<f32>(load<f32>(from + (i << 2)))) return NaN;
  }
  return largest;
}

/** out[i] = e^(x[i] − largest); returns their sum. */
@inline
export function expRun(x: usize, out: usize, count: i32, largest: f32): f32 {
  const top = f32x4.splat(largest);
  let sum = f32x4.splat(0), odd = sum;
  let i = 0;
  for (; i + 8 <= count; i += 8) {
    const at = i << 2;
    const first = expNegative4(f32x4.sub(v128.load(x + at), top)), second = expNegative4(f32x4.sub(v128.load(x + at, 16), top));
    v128.store(out + at, first);
    v128.store(out + at, second, 16);
    sum = f32x4.add(sum, first);
    odd = f32x4.add(odd, second);
  }
  sum = f32x4.add(sum, odd);
  for (; i + 4 <= count; i += 4) {
    const value = expNegative4(f32x4.sub(v128.load(x + (i << 2)), top));
    v128.store(out + (i << 2), value);
    sum = f32x4.add(sum, value);
  }
  const left = count - i;
  if (left > 0) {
    const value = expNegative4(f32x4.sub(loadTail(x + (i << 2), left, f32x4.splat(-Infinity)), top));
    storeTail(out + (i << 2), left, value);
    sum = f32x4.add(sum, value);
  }
  return sumLanes(sum);
}

export function softmax(begin: i32, end: i32, x: usize, out: usize, columns: i32): void {
  for (let row = begin; row < end; row++) {
    const from = x + ((row * columns) << 2);
    const to = out + ((row * columns) << 2);
    const largest = maxOfRun(from, columns);
    if (largest == -Infinity) memory.fill(to, 0, columns << 2);
    else scaleRun(to, to, <f32>1 / expRun(from, to, columns, largest), columns);
  }
}

export function softmaxGrad(begin: i32, end: i32, y: usize, dy: usize, dx: usize, columns: i32): void {
  const zero = f32x4.splat(0);
  for (let row = begin; row < end; row++) {
    const probabilities = y + ((row * columns) << 2);
    const upstream = dy + ((row * columns) << 2);
    const to = dx + ((row * columns) << 2);
    let products = zero;
    let i = 0;
    for (; i + 4 <= columns; i += 4) {
      products = madd(v128.load(probabilities + (i << 2)), v128.load(upstream + (i << 2)), products);
    }
    const left = columns - i;
    const restY = left > 0 ? loadTail(probabilities + (i << 2), left, zero) : zero;
    const restDy = left > 0 ? loadTail(upstream + (i << 2), left, zero) : zero;
    const mean = f32x4.splat(sumLanes(madd(restY, restDy, products)));
    for (i = 0; i + 4 <= columns; i += 4) {
      const flow = f32x4.sub(v128.load(upstream + (i << 2)), mean);
      v128.store(to + (i << 2), f32x4.mul(v128.load(probabilities + (i << 2)), flow));
    }
    if (left > 0) storeTail(to + (i << 2), left, f32x4.mul(restY, f32x4.sub(restDy, mean)));
  }
}
