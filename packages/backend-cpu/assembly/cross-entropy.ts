// Cross-entropy over one chunk of the vocabulary: its statistics per row, and the gradient of its logits. Items are rows.
import { loadTail, maxLanes, storeTail } from './lanes';
import { exp4, expNegative4, log4 } from './math';
import { sumLanes } from './simd';
import { maxOfRun } from './softmax';

export function crossEntropyStats(
  begin: i32, end: i32, logits: usize, targets: usize, lse: usize, picked: usize, total: usize, columns: i32, offset: i32,
): void {
  const lowest = f32x4.splat(-Infinity);
  for (let row = begin; row < end; row++) {
    const from = logits + ((row * columns) << 2);
    let largest4 = lowest;
    let sum4 = f32x4.splat(0);
    let i = 0;
    for (; i + 4 <= columns; i += 4) {
      const value = v128.load(from + (i << 2));
      largest4 = f32x4.pmax(largest4, value);
      sum4 = f32x4.add(sum4, value);
    }
    const left = columns - i;
    if (left > 0) {
      largest4 = f32x4.pmax(largest4, loadTail(from + (i << 2), left, lowest));
      sum4 = f32x4.add(sum4, loadTail(from + (i << 2), left, f32x4.splat(0)));
    }
    // pmax passes a NaN over; the sum of the logits has it.
    const sum = sumLanes(sum4);
    const largest = isNaN<f32>(sum) ? maxOfRun(from, columns) : maxLanes(largest4);
    store<f32>(lse + (row << 2), largest == -Infinity ? largest : largest + logOfExpSum(from, columns, largest));
    const column = load<i32>(targets + (row << 2)) - offset;
    store<f32>(picked + (row << 2), column >= 0 && column < columns ? load<f32>(from + (column << 2)) : 0);
    store<f32>(total + (row << 2), sum);
  }
}

@inline
function logOfExpSum(from: usize, columns: i32, largest: f32): f32 {
  const top = f32x4.splat(largest);
  let even = f32x4.splat(0);
  let odd = even;
  let i = 0;
  for (; i + 8 <= columns; i += 8) {
    even = f32x4.add(even, expNegative4(f32x4.sub(v128.load(from + (i << 2)), top)));
    odd = f32x4.add(odd, expNegative4(f32x4.sub(v128.load(from + (i << 2), 16), top)));
  }
  if (i + 4 <= columns) {
    even = f32x4.add(even, expNegative4(f32x4.sub(v128.load(from + (i << 2)), top)));
    i += 4;
  }
  const left = columns - i;
  if (left > 0) odd = f32x4.add(odd, expNegative4(f32x4.sub(loadTail(from + (i << 2), left, f32x4.splat(-Infinity)), top)));
  return f32x4.extract_lane(log4(f32x4.splat(sumLanes(f32x4.add(even, odd)))), 0);
}

/** `smooth` is ε/V, `certain` 1 − ε. */
export function crossEntropyGrad(
  begin: i32, end: i32, logits: usize, targets: usize, lse: usize, scale: usize, dlogits: usize, columns: i32, offset: i32,
  smooth: f32, certain: f32,
): void {
  const smooths = f32x4.splat(smooth);
  for (let row = begin; row < end; row++) {
    const from = logits + ((row * columns) << 2);
    const to = dlogits + ((row * columns) << 2);
    const shift = v128.load32_splat(lse + (row << 2));
    const factor = v128.load32_splat(scale + (row << 2));
    let i = 0;
    for (; i + 8 <= columns; i += 8) {
      const at = i << 2;
      const p0 = exp4(f32x4.sub(v128.load(from + at), shift)), p1 = exp4(f32x4.sub(v128.load(from + at, 16), shift));
      v128.store(to + at, f32x4.mul(f32x4.sub(p0, smooths), factor));
      v128.store(to + at, f32x4.mul(f32x4.sub(p1, smooths), factor), 16);
    }
    for (; i + 4 <= columns; i += 4) {
      const p = exp4(f32x4.sub(v128.load(from + (i << 2)), shift));
      v128.store(to + (i << 2), f32x4.mul(f32x4.sub(p, smooths), factor));
    }
    const left = columns - i;
    if (left > 0) {
      const p = exp4(f32x4.sub(loadTail(from + (i << 2), left, f32x4.splat(0)), shift));
      storeTail(to + (i << 2), left, f32x4.mul(f32x4.sub(p, smooths), factor));
    }
    const column = load<i32>(targets + (row << 2)) - offset;
    if (column < 0 || column >= columns) continue;
    const p = exp4(f32x4.sub(v128.load32_splat(from + (column << 2)), shift));
    const value = f32x4.mul(f32x4.sub(p, f32x4.splat(smooth + certain)), factor);
    store<f32>(to + (column << 2), f32x4.extract_lane(value, 0));
  }
}
