// layerNorm and its gradient. Items are rows, and chunks of rows.
import { addRun, loadTail, storeTail } from './lanes';
import { madd, sumLanes } from './simd';

@inline
function sumOfRun(from: usize, count: i32): f32 {
  const zero = f32x4.splat(0);
  let even = zero;
  let odd = zero;
  let i = 0;
  for (; i + 8 <= count; i += 8) {
    even = f32x4.add(even, v128.load(from + (i << 2)));
    odd = f32x4.add(odd, v128.load(from + (i << 2), 16));
  }
  if (i + 4 <= count) {
    even = f32x4.add(even, v128.load(from + (i << 2)));
    i += 4;
  }
  if (i < count) odd = f32x4.add(odd, loadTail(from + (i << 2), count - i, zero));
  return sumLanes(f32x4.add(even, odd));
}

/** The first mean is rounded; the second pass measures by how much, and corrects mean and variance. */
export function layerNorm(
  begin: i32, end: i32, x: usize, gamma: usize, beta: usize, out: usize, mean: usize, rstd: usize, columns: i32, epsilon: f32,
): void {
  const count = <f32>columns;
  const whole = columns & ~3;
  const left = columns - whole;
  for (let row = begin; row < end; row++) {
    const from = x + ((row * columns) << 2);
    const to = out + ((row * columns) << 2);
    const rough = sumOfRun(from, columns) / count;
    const rough4 = f32x4.splat(rough);
    let shifts = f32x4.splat(0);
    let squares = f32x4.splat(0);
    for (let i = 0; i < whole; i += 4) {
      const deviation = f32x4.sub(v128.load(from + (i << 2)), rough4);
      shifts = f32x4.add(shifts, deviation);
      squares = madd(deviation, deviation, squares);
    }
    if (left > 0) {
      const deviation = f32x4.sub(loadTail(from + (whole << 2), left, rough4), rough4);
      shifts = f32x4.add(shifts, deviation);
      squares = madd(deviation, deviation, squares);
    }
    const shift = sumLanes(shifts) / count;
    const inverse = <f32>1 / sqrt<f32>(max<f32>(sumLanes(squares) / count - shift * shift, 0) + epsilon);
    // x − rough is exact for numbers near the mean; x − (rough + shift) would have the rounding of that sum in it.
    const shift4 = f32x4.splat(shift);
    const inverse4 = f32x4.splat(inverse);
    for (let i = 0; i < whole; i += 4) {
      const normal = f32x4.mul(f32x4.sub(f32x4.sub(v128.load(from + (i << 2)), rough4), shift4), inverse4);
      v128.store(to + (i << 2), madd(normal, v128.load(gamma + (i << 2)), v128.load(beta + (i << 2))));
    }
    if (left > 0) {
      const normal = f32x4.mul(f32x4.sub(f32x4.sub(loadTail(from + (whole << 2), left, rough4), rough4), shift4), inverse4);
      const scale = loadTail(gamma + (whole << 2), left, inverse4);
      storeTail(to + (whole << 2), left, madd(normal, scale, loadTail(beta + (whole << 2), left, inverse4)));
    }
    store<f32>(mean + (row << 2), rough + shift);
    store<f32>(rstd + (row << 2), inverse);
  }
}

/**
 * dx = rstd·(g − mean(g) − x̂·mean(g·x̂)) with g = dy·gamma and x̂ = (x − mean)·rstd. Items are chunks of `chunkRows` rows;
 * chunk c leaves its sums for dgamma and dbeta in partial [c, 2, columns].
 */
export function layerNormGrad(
  begin: i32, end: i32, x: usize, gamma: usize, mean: usize, rstd: usize, dy: usize, dx: usize, partial: usize,
  rows: i32, columns: i32, chunkRows: i32,
): void {
  const bytes = columns << 2;
  for (let chunk = begin; chunk < end; chunk++) {
    const scaleGrad = partial + 2 * chunk * bytes;
    memory.fill(scaleGrad, 0, 2 * bytes);
    const last = min((chunk + 1) * chunkRows, rows);
    for (let row = chunk * chunkRows; row < last; row++) {
      const at = row * bytes;
      const average = v128.load32_splat(mean + (row << 2));
      const inverse = v128.load32_splat(rstd + (row << 2));
      layerNormGradRow(x + at, gamma, average, inverse, dy + at, dx + at, scaleGrad, scaleGrad + bytes, columns);
    }
  }
}

/** By how much the mean of a run is above `average`, in all lanes. */
@inline
function driftOfRun(from: usize, average: v128, count: i32): v128 {
  const whole = count & ~3;
  let sum = f32x4.splat(0);
  for (let i = 0; i < whole; i += 4) sum = f32x4.add(sum, f32x4.sub(v128.load(from + (i << 2)), average));
  if (whole < count) sum = f32x4.add(sum, f32x4.sub(loadTail(from + (whole << 2), count - whole, average), average));
  return f32x4.splat(sumLanes(sum) / <f32>count);
}

/** (x − average − drift)·inverse, in this order: the first difference is exact for numbers near the mean. */
@inline
function normalOf(x: v128, average: v128, drift: v128, inverse: v128): v128 {
  return f32x4.mul(f32x4.sub(f32x4.sub(x, average), drift), inverse);
}

@inline
function layerNormGradRow(
  x: usize, gamma: usize, average: v128, inverse: v128, dy: usize, dx: usize, scaleGrad: usize, shiftGrad: usize, columns: i32,
): void {
  const zero = f32x4.splat(0);
  const whole = columns & ~3;
  const left = columns - whole;
  const rest = whole << 2;
  const drift = driftOfRun(x, average, columns);
  let sum = zero;
  let projected = zero;
  let at = 0;
  for (; at + 32 <= rest; at += 32) {
    const normal0 = normalOf(v128.load(x + at), average, drift, inverse), normal1 = normalOf(v128.load(x + at, 16), average, drift, inverse);
    const flow0 = v128.load(dy + at), flow1 = v128.load(dy + at, 16);
    const scale0 = madd(flow0, normal0, v128.load(scaleGrad + at)), scale1 = madd(flow1, normal1, v128.load(scaleGrad + at, 16));
    v128.store(scaleGrad + at, scale0);
    v128.store(scaleGrad + at, scale1, 16);
    const shift0 = f32x4.add(v128.load(shiftGrad + at), flow0), shift1 = f32x4.add(v128.load(shiftGrad + at, 16), flow1);
    v128.store(shiftGrad + at, shift0);
    v128.store(shiftGrad + at, shift1, 16);
    const scaled0 = f32x4.mul(flow0, v128.load(gamma + at)), scaled1 = f32x4.mul(flow1, v128.load(gamma + at, 16));
    sum = f32x4.add(f32x4.add(sum, scaled0), scaled1);
    projected = madd(scaled1, normal1, madd(scaled0, normal0, projected));
  }
  for (; at < rest; at += 16) {
    const normal = normalOf(v128.load(x + at), average, drift, inverse);
    const flow = v128.load(dy + at);
    v128.store(scaleGrad + at, madd(flow, normal, v128.load(scaleGrad + at)));
    v128.store(shiftGrad + at, f32x4.add(v128.load(shiftGrad + at), flow));
    const scaled = f32x4.mul(flow, v128.load(gamma + at));
    sum = f32x4.add(sum, scaled);
    projected = madd(scaled, normal, projected);
  }
  let restNormal = zero;
  let restScaled = zero;
  if (left > 0) {
    restNormal = normalOf(loadTail(x + rest, left, average), average, drift, inverse);
    const flow = loadTail(dy + rest, left, zero);
    storeTail(scaleGrad + rest, left, madd(flow, restNormal, loadTail(scaleGrad + rest, left, zero)));
    storeTail(shiftGrad + rest, left, f32x4.add(loadTail(shiftGrad + rest, left, zero), flow));
    restScaled = f32x4.mul(flow, loadTail(gamma + rest, left, zero));
    sum = f32x4.add(sum, restScaled);
    projected = madd(restScaled, restNormal, projected);
  }
  const count = <f32>columns;
  const meanFlow = f32x4.splat(sumLanes(sum) / count);
  const meanProjected = f32x4.splat(sumLanes(projected) / count);
  at = 0;
  for (; at + 32 <= rest; at += 32) {
    const normal0 = normalOf(v128.load(x + at), average, drift, inverse), normal1 = normalOf(v128.load(x + at, 16), average, drift, inverse);
    const scaled0 = f32x4.mul(v128.load(dy + at), v128.load(gamma + at)), scaled1 = f32x4.mul(v128.load(dy + at, 16), v128.load(gamma + at, 16));
    const centred0 = f32x4.sub(f32x4.sub(scaled0, meanFlow), f32x4.mul(normal0, meanProjected));
    const centred1 = f32x4.sub(f32x4.sub(scaled1, meanFlow), f32x4.mul(normal1, meanProjected));
    const d0 = f32x4.mul(inverse, centred0), d1 = f32x4.mul(inverse, centred1);
    v128.store(dx + at, d0);
    v128.store(dx + at, d1, 16);
  }
  for (; at < rest; at += 16) {
    const normal = normalOf(v128.load(x + at), average, drift, inverse);
    const scaled = f32x4.mul(v128.load(dy + at), v128.load(gamma + at));
    const centred = f32x4.sub(f32x4.sub(scaled, meanFlow), f32x4.mul(normal, meanProjected));
    v128.store(dx + at, f32x4.mul(inverse, centred));
  }
  if (left > 0) {
    const centred = f32x4.sub(f32x4.sub(restScaled, meanFlow), f32x4.mul(restNormal, meanProjected));
    storeTail(dx + rest, left, f32x4.mul(inverse, centred));
  }
}

/** Adds the chunks' sums in order into dgamma and dbeta. Items: 0 is dgamma, 1 is dbeta. */
export function layerNormGradFromChunks(
  begin: i32, end: i32, partial: usize, dgamma: usize, dbeta: usize, columns: i32, chunks: i32,
): void {
  const bytes = columns << 2;
  for (let which = begin; which < end; which++) {
    const sums = which == 0 ? dgamma : dbeta;
    memory.fill(sums, 0, bytes);
    for (let chunk = 0; chunk < chunks; chunk++) addRun(sums, partial + (2 * chunk + which) * bytes, columns);
  }
}
