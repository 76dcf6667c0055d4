// The middle of the experts' backward pass: in place on a block of rows that lies in the cache, for expert-pass.ts, and over all rows, which is
// expertsGrad. Activation and slope share their exponential where they have one.
import { GELU_ERF, GELU_TANH, RELU, activateGated, gateOf, slopeGated } from './activation';
import { dotRun, loadTail, storeTail } from './lanes';
import { madd, sumLanes } from './simd';

/** hidden = factor·activation(pre) and dPre = u·slope(pre), column by column; returns Σ activation(pre)·u. dPre may be u. */
@inline
function slopeRow(kind: i32, pre: usize, u: usize, dPre: usize, hidden: usize, factor: f32, columns: i32): f32 {
  const zero = f32x4.splat(0), factors = f32x4.splat(factor);
  let products = zero;
  let odd = zero;
  let j = 0;
  for (; j + 8 <= columns; j += 8) {
    const at = <usize>j << 2;
    const x0 = v128.load(pre + at), x1 = v128.load(pre + at, 16);
    const u0 = v128.load(u + at), u1 = v128.load(u + at, 16);
    const g0 = gateOf(kind, x0), g1 = gateOf(kind, x1);
    const h0 = activateGated(kind, x0, g0), h1 = activateGated(kind, x1, g1);
    const w0 = f32x4.mul(h0, factors), w1 = f32x4.mul(h1, factors);
    v128.store(hidden + at, w0);
    v128.store(hidden + at, w1, 16);
    const d0 = f32x4.mul(u0, slopeGated(kind, x0, g0)), d1 = f32x4.mul(u1, slopeGated(kind, x1, g1));
    v128.store(dPre + at, d0);
    v128.store(dPre + at, d1, 16);
    products = madd(h0, u0, products);
    odd = madd(h1, u1, odd);
  }
  products = f32x4.add(products, odd);
  for (; j + 4 <= columns; j += 4) {
    const at = <usize>j << 2;
    const x = v128.load(pre + at), upstream = v128.load(u + at);
    const gate = gateOf(kind, x);
    const h = activateGated(kind, x, gate);
    v128.store(hidden + at, f32x4.mul(h, factors));
    v128.store(dPre + at, f32x4.mul(upstream, slopeGated(kind, x, gate)));
    products = madd(h, upstream, products);
  }
  const left = columns - j;
  if (left > 0) {
    const at = <usize>j << 2;
    const x = loadTail(pre + at, left, zero), upstream = loadTail(u + at, left, zero);
    const gate = gateOf(kind, x);
    const h = activateGated(kind, x, gate);
    storeTail(hidden + at, left, f32x4.mul(h, factors));
    storeTail(dPre + at, left, f32x4.mul(upstream, slopeGated(kind, x, gate)));
    products = madd(h, upstream, products);
  }
  return sumLanes(products);
}

/**
 * Rows of pre, `stridePre` bytes apart, and of u and hidden, dense. dots[i] += h·u. Where a row has no claim (rowClaim[i] < 0), u and hidden
 * become zero.
 */
@inline
function slopeRows(
  kind: i32, rows: i32, columns: i32, pre: usize, stridePre: usize, u: usize, hidden: usize, rowClaim: usize, factors: usize, dots: usize,
): void {
  const bytes = <usize>columns << 2;
  for (let i: usize = 0; i < <usize>rows << 2; i += 4, pre += stridePre, u += bytes, hidden += bytes) {
    if (load<i32>(rowClaim + i) < 0) {
      memory.fill(u, 0, bytes);
      memory.fill(hidden, 0, bytes);
    } else {
      store<f32>(dots + i, load<f32>(dots + i) + slopeRow(kind, pre, u, u, hidden, load<f32>(factors + i), columns));
    }
  }
}

// One function per activation: of loops that a condition chooses from, the optimiser makes one loop with the condition inside.
export function slopeNone(
  rows: i32, columns: i32, pre: usize, stridePre: usize, u: usize, hidden: usize, rowClaim: usize, factors: usize, dots: usize,
): void {
  slopeRows(0, rows, columns, pre, stridePre, u, hidden, rowClaim, factors, dots);
}
export function slopeRelu(
  rows: i32, columns: i32, pre: usize, stridePre: usize, u: usize, hidden: usize, rowClaim: usize, factors: usize, dots: usize,
): void {
  slopeRows(RELU, rows, columns, pre, stridePre, u, hidden, rowClaim, factors, dots);
}
export function slopeTanh(
  rows: i32, columns: i32, pre: usize, stridePre: usize, u: usize, hidden: usize, rowClaim: usize, factors: usize, dots: usize,
): void {
  slopeRows(GELU_TANH, rows, columns, pre, stridePre, u, hidden, rowClaim, factors, dots);
}
export function slopeErf(
  rows: i32, columns: i32, pre: usize, stridePre: usize, u: usize, hidden: usize, rowClaim: usize, factors: usize, dots: usize,
): void {
  slopeRows(GELU_ERF, rows, columns, pre, stridePre, u, hidden, rowClaim, factors, dots);
}

/**
 * Items are rows, of pre, dHidden, dPre and hidden [R, S]. dWeights (0: not wanted, then b2, dy and offsets are not read) is zero
 * before; each row adds its claim.
 */
@inline
function gradRows(
  kind: i32, begin: i32, end: i32, pre: usize, dHidden: usize, weights: usize, b2: usize, dy: usize, rowClaim: usize, offsets: usize, groups: i32,
  dPre: usize, hidden: usize, dWeights: usize, rowWeight: usize, S: i32, D: i32, choices: i32,
): void {
  const bytes = <usize>S << 2, outBytes = <usize>D << 2;
  let group = 0;
  for (let row = begin; row < end; row++) {
    const at = <usize>row * bytes;
    const claim = load<i32>(rowClaim + (<usize>row << 2));
    if (claim < 0) {
      memory.fill(dPre + at, 0, bytes);
      memory.fill(hidden + at, 0, bytes);
      store<f32>(rowWeight + (<usize>row << 2), 0);
      continue;
    }
    store<f32>(rowWeight + (<usize>row << 2), load<f32>(weights + (<usize>claim << 2)));
    const products = slopeRow(kind, pre + at, dHidden + at, dPre + at, hidden + at, 1, S);
    if (dWeights == 0) continue;
    while (group < groups && row >= load<i32>(offsets + (<usize>group << 2), 4)) group++;
    if (group == groups) continue;
    const biases = dotRun(b2 + <usize>group * outBytes, dy + <usize>(claim / choices) * outBytes, D);
    store<f32>(dWeights + (<usize>claim << 2), products + biases);
  }
}

// One function per activation: of loops that a condition chooses from, the optimiser makes one loop with the condition inside.
export function expertsGrad(
  begin: i32, end: i32, pre: usize, dHidden: usize, weights: usize, b2: usize, dy: usize, rowClaim: usize, offsets: usize, groups: i32,
  dPre: usize, hidden: usize, dWeights: usize, rowWeight: usize, S: i32, D: i32, choices: i32,
): void {
  gradRows(0, begin, end, pre, dHidden, weights, b2, dy, rowClaim, offsets, groups, dPre, hidden, dWeights, rowWeight, S, D, choices);
}
export function expertsGradRelu(
  begin: i32, end: i32, pre: usize, dHidden: usize, weights: usize, b2: usize, dy: usize, rowClaim: usize, offsets: usize, groups: i32,
  dPre: usize, hidden: usize, dWeights: usize, rowWeight: usize, S: i32, D: i32, choices: i32,
): void {
  gradRows(RELU, begin, end, pre, dHidden, weights, b2, dy, rowClaim, offsets, groups, dPre, hidden, dWeights, rowWeight, S, D, choices);
}
export function expertsGradTanh(
  begin: i32, end: i32, pre: usize, dHidden: usize, weights: usize, b2: usize, dy: usize, rowClaim: usize, offsets: usize, groups: i32,
  dPre: usize, hidden: usize, dWeights: usize, rowWeight: usize, S: i32, D: i32, choices: i32,
): void {
  gradRows(GELU_TANH, begin, end, pre, dHidden, weights, b2, dy, rowClaim, offsets, groups, dPre, hidden, dWeights, rowWeight, S, D, choices);
}
export function expertsGradErf(
  begin: i32, end: i32, pre: usize, dHidden: usize, weights: usize, b2: usize, dy: usize, rowClaim: usize, offsets: usize, groups: i32,
  dPre: usize, hidden: usize, dWeights: usize, rowWeight: usize, S: i32, D: i32, choices: i32,
): void {
  gradRows(GELU_ERF, begin, end, pre, dHidden, weights, b2, dy, rowClaim, offsets, groups, dPre, hidden, dWeights, rowWeight, S, D, choices);
}
