// Small pieces over memory that the vector kernels use: loads and stores of less than a vector, extremes across lanes, and
// runs of the kind y = a·x. Nothing here knows what is computed.

import { madd, sumLanes } from './simd';

/** The first `count` (1, 2 or 3) floats at `from`; the other lanes are those of `rest`. Reads no byte beyond them. */
@inline
export function loadTail(from: usize, count: i32, rest: v128): v128 {
  let value = v128.load32_lane(from, rest, 0);
  if (count > 1) value = v128.load32_lane(from, value, 1, 4);
  if (count > 2) value = v128.load32_lane(from, value, 2, 8);
  return value;
}

/** Writes the first `count` (1, 2 or 3) lanes. */
@inline
export function storeTail(to: usize, count: i32, value: v128): void {
  v128.store32_lane(to, value, 0);
  if (count > 1) v128.store32_lane(to, value, 1, 4);
  if (count > 2) v128.store32_lane(to, value, 2, 8);
}

/** The largest lane; NaN if any is. */
@inline
export function maxLanes(value: v128): f32 {
  const pairs = f32x4.max(value, i32x4.shuffle(value, value, 2, 3, 0, 1));
  return max<f32>(f32x4.extract_lane(pairs, 0), f32x4.extract_lane(pairs, 1));
}

/** The smallest lane; NaN if any is. */
@inline
export function minLanes(value: v128): f32 {
  const pairs = f32x4.min(value, i32x4.shuffle(value, value, 2, 3, 0, 1));
  return min<f32>(f32x4.extract_lane(pairs, 0), f32x4.extract_lane(pairs, 1));
}

/** to[i] += from[i] for i < count. */
@inline
export function addRun(to: usize, from: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(to + (i << 2), f32x4.add(v128.load(to + (i << 2)), v128.load(from + (i << 2))));
  }
  for (; i < count; i++) store<f32>(to + (i << 2), load<f32>(to + (i << 2)) + load<f32>(from + (i << 2)));
}

/** to[i] = factor·from[i] for i < count. */
@inline
export function scaleRun(to: usize, from: usize, factor: f32, count: i32): void {
  const factors = f32x4.splat(factor);
  let i = 0;
  for (; i + 4 <= count; i += 4) v128.store(to + (i << 2), f32x4.mul(factors, v128.load(from + (i << 2))));
  for (; i < count; i++) store<f32>(to + (i << 2), factor * load<f32>(from + (i << 2)));
}

/** Σ a[i]·b[i] for i < count, in two vectors of partial sums. */
@inline
export function dotRun(a: usize, b: usize, count: i32): f32 {
  const zero = f32x4.splat(0);
  let even = zero;
  let odd = zero;
  let i = 0;
  for (; i + 8 <= count; i += 8) {
    even = madd(v128.load(a + (i << 2)), v128.load(b + (i << 2)), even);
    odd = madd(v128.load(a + (i << 2), 16), v128.load(b + (i << 2), 16), odd);
  }
  if (i + 4 <= count) {
    even = madd(v128.load(a + (i << 2)), v128.load(b + (i << 2)), even);
    i += 4;
  }
  const left = count - i;
  if (left > 0) odd = madd(loadTail(a + (i << 2), left, zero), loadTail(b + (i << 2), left, zero), odd);
  return sumLanes(f32x4.add(even, odd));
}
