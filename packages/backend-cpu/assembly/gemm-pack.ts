// Copies parts of A and B into the order in which tiles read them: panels of `width` lines (4 of A, 8 of B), the elements k of
// all lines side by side. Lines that are not there are zeros, and so is one more step where K is odd.

/** Panels are one cache line longer than full: else equal places of all panels would share one set of the cache. */
const GAP: usize = 64;

@inline
export function panelBytes(K: i32, width: i32): usize {
  return <usize>evenSteps(K) * <usize>(width << 2) + GAP;
}

@inline
export function evenSteps(K: i32): i32 {
  return (K + 1) & ~1;
}

/** Of a k-major matrix [K, lines], rows `stride` bytes apart. */
export function packAcross(source: usize, stride: usize, K: i32, lines: i32, width: i32, target: usize): void {
  const step = <usize>width << 2;
  const whole = lines & ~3;
  let line = 0;
  // A cache line of the source at a time.
  for (; line + 16 <= whole; line += 16) {
    copySixteen(
      source + (<usize>line << 2), stride, K, step,
      placeOf(line, K, width, target), placeOf(line + 4, K, width, target),
      placeOf(line + 8, K, width, target), placeOf(line + 12, K, width, target),
    );
  }
  for (; line < whole; line += 4) {
    let from = source + (<usize>line << 2), to = placeOf(line, K, width, target);
    for (let k = K; k > 0; k--) {
      v128.store(to, v128.load(from));
      from += stride;
      to += step;
    }
  }
  packRest(source + (<usize>whole << 2), 4, stride, K, whole, lines, width, target);
  if (K & 1) clearLastStep(K, lines, width, target);
}

/** Of a line-major matrix [lines, K], lines `stride` bytes apart: transposes 4 × 4 elements at a time. */
export function packAlong(source: usize, stride: usize, K: i32, lines: i32, width: i32, target: usize): void {
  const step = <usize>width << 2;
  const whole = lines & ~3;
  for (let line = 0; line < whole; line += 4) {
    const first = source + <usize>line * stride;
    transposeFour(first, first + stride, first + 2 * stride, first + 3 * stride, K, placeOf(line, K, width, target), step);
  }
  packRest(source + <usize>whole * stride, stride, 4, K, whole, lines, width, target);
  if (K & 1) clearLastStep(K, lines, width, target);
}

/** Where element 0 of a line lies. */
@inline
export function placeOf(line: i32, K: i32, width: i32, target: usize): usize {
  return target + <usize>(line / width) * panelBytes(K, width) + (<usize>(line % width) << 2);
}

function copySixteen(from: usize, stride: usize, K: i32, step: usize, to0: usize, to1: usize, to2: usize, to3: usize): void {
  for (let k = K; k > 0; k--) {
    const x0 = v128.load(from), x1 = v128.load(from, 16), x2 = v128.load(from, 32), x3 = v128.load(from, 48);
    v128.store(to0, x0);
    v128.store(to1, x1);
    v128.store(to2, x2);
    v128.store(to3, x3);
    from += stride;
    to0 += step; to1 += step; to2 += step; to3 += step;
  }
}

/** Elements 0 … K − 1 of four lines, side by side in steps. */
export function transposeFour(from0: usize, from1: usize, from2: usize, from3: usize, K: i32, to: usize, step: usize): void {
  for (let k = K >> 2; k > 0; k--) {
    const x0 = v128.load(from0), x1 = v128.load(from1), x2 = v128.load(from2), x3 = v128.load(from3);
    const low01 = i32x4.shuffle(x0, x1, 0, 4, 1, 5), high01 = i32x4.shuffle(x0, x1, 2, 6, 3, 7);
    const low23 = i32x4.shuffle(x2, x3, 0, 4, 1, 5), high23 = i32x4.shuffle(x2, x3, 2, 6, 3, 7);
    v128.store(to, i64x2.shuffle(low01, low23, 0, 2));
    v128.store(to + step, i64x2.shuffle(low01, low23, 1, 3));
    to += 2 * step;
    v128.store(to, i64x2.shuffle(high01, high23, 0, 2));
    v128.store(to + step, i64x2.shuffle(high01, high23, 1, 3));
    to += 2 * step;
    from0 += 16; from1 += 16; from2 += 16; from3 += 16;
  }
  for (let k = K & 3; k > 0; k--) {
    store<f32>(to, load<f32>(from0));
    store<f32>(to, load<f32>(from1), 4);
    store<f32>(to, load<f32>(from2), 8);
    store<f32>(to, load<f32>(from3), 12);
    from0 += 4; from1 += 4; from2 += 4; from3 += 4;
    to += step;
  }
}

/** Lines from `line` (a multiple of 4) to the end of the last panel: the fewer than 4 that are there, then zeros. */
function packRest(
  source: usize, strideLine: usize, stepSource: usize, K: i32, line: i32, lines: i32, width: i32, target: usize,
): void {
  for (; line % width !== 0 || line < lines; line++) {
    let from = source, to = placeOf(line, K, width, target);
    for (let k = K; k > 0; k--) {
      store<f32>(to, line < lines ? load<f32>(from) : 0);
      from += stepSource;
      to += <usize>width << 2;
    }
    source += strideLine;
  }
}

/** The step after the last where K is odd: zeros. */
export function clearLastStep(K: i32, lines: i32, width: i32, target: usize): void {
  const step = <usize>width << 2;
  for (let line = 0; line < lines; line += width) {
    memory.fill(target + <usize>K * step, 0, step);
    target += panelBytes(K, width);
  }
}
