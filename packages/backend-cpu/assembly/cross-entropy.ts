// Cross-entropy over one chunk of the vocabulary: its statistics per row, and the gradient of its logits. Items are rows.
import { loadTail, storeTail } from './lanes';
import { expNegative4 } from './math';
import { sumLanes } from './simd';
import { maxOfRun } from './softmax';

/** The maximum of no logits above −∞: finite, so that −∞ less it is −∞ and not NaN. */
const LOWEST: f32 = -3.4028234663852886e38;

/** `total` may be 0. */
export function crossEntropyStats(
  begin: i32, end: i32, logits: usize, targets: usize, peak: usize, sum: usize, picked: usize, total: usize, columns: i32, offset: i32, vocabulary: i32,
): void {
  for (let row = begin; row < end; row++) {
    const from = logits + ((row * columns) << 2);
    const largest = max<f32>(maxOfRun(from, columns), LOWEST);
    const distances = sumRow(from, columns, largest, sum + (row << 2));
    const isSpoiled = isNaN<f32>(load<f32>(sum + (row << 2)));
    store<f32>(peak + (row << 2), isSpoiled ? NaN : largest);
    if (total != 0) store<f32>(total + (row << 2), isSpoiled ? NaN : distances);
    const target = load<i32>(targets + (row << 2));
    const column = target - offset;
    const found = column >= 0 && column < columns ? load<f32>(from + (column << 2)) : 0;
    store<f32>(picked + (row << 2), target < vocabulary ? found : NaN);
  }
}

/** Σ (x − largest); Σ e^(x − largest) goes to `sum`. A NaN goes into both. */
@inline
function sumRow(from: usize, columns: i32, largest: f32, sum: usize): f32 {
  const top = f32x4.splat(largest);
  let even = f32x4.splat(0);
  let odd = even, distances = even;
  let i = 0;
  for (; i + 8 <= columns; i += 8) {
    const first = f32x4.sub(v128.load(from + (i << 2)), top), second = f32x4.sub(v128.load(from + (i << 2), 16), top);
    even = f32x4.add(even, expNegative4(first));
    odd = f32x4.add(odd, expNegative4(second));
    distances = f32x4.add(distances, f32x4.add(first, second));
  }
  if (i + 4 <= columns) {
    const distance = f32x4.sub(v128.load(from + (i << 2)), top);
    even = f32x4.add(even, expNegative4(distance));
    distances = f32x4.add(distances, distance);
    i += 4;
  }
  const left = columns - i;
  if (left > 0) {
    odd = f32x4.add(odd, expNegative4(f32x4.sub(loadTail(from + (i << 2), left, f32x4.splat(-Infinity)), top)));
    distances = f32x4.add(distances, f32x4.sub(loadTail(from + (i << 2), left, top), top));
  }
  store<f32>(sum, sumLanes(f32x4.add(even, odd)));
  return sumLanes(distances);
}

/** `smooth` is ε/V, `certain` 1 − ε. */
export function crossEntropyGrad(
  begin: i32, end: i32, logits: usize, targets: usize, peak: usize, sum: usize, scale: usize, dlogits: usize, columns: i32, offset: i32,
  smooth: f32, certain: f32, vocabulary: i32,
): void {
  for (let row = begin; row < end; row++) {
    const from = logits + ((row * columns) << 2);
    const to = dlogits + ((row * columns) << 2);
    const target = load<i32>(targets + (row << 2));
    if (target < 0) {
      memory.fill(to, 0, columns << 2);
      continue;
    }
    const scaled = target < vocabulary ? load<f32>(scale + (row << 2)) : NaN;
    const top = v128.load32_splat(peak + (row << 2));
    // (e^(x − peak) / sum − smooth)·scale, with the two factors as one.
    const factor = f32x4.splat(scaled / load<f32>(sum + (row << 2)));
    const smooths = f32x4.splat(smooth * scaled);
    let i = 0;
    for (; i + 8 <= columns; i += 8) {
      const at = i << 2;
      const p0 = expNegative4(f32x4.sub(v128.load(from + at), top)), p1 = expNegative4(f32x4.sub(v128.load(from + at, 16), top));
      v128.store(to + at, f32x4.sub(f32x4.mul(p0, factor), smooths));
      v128.store(to + at, f32x4.sub(f32x4.mul(p1, factor), smooths), 16);
    }
    for (; i + 4 <= columns; i += 4) {
      const p = expNegative4(f32x4.sub(v128.load(from + (i << 2)), top));
      v128.store(to + (i << 2), f32x4.sub(f32x4.mul(p, factor), smooths));
    }
    const left = columns - i;
    if (left > 0) {
      const p = expNegative4(f32x4.sub(loadTail(from + (i << 2), left, top), top));
      storeTail(to + (i << 2), left, f32x4.sub(f32x4.mul(p, factor), smooths));
    }
    const column = target - offset;
    if (column < 0 || column >= columns) continue;
    const p = f32x4.extract_lane(expNegative4(f32x4.sub(v128.load32_splat(from + (column << 2)), top)), 0);
    store<f32>(to + (column << 2), (p / load<f32>(sum + (row << 2)) - (smooth + certain)) * scaled);
  }
}
