// exp, log, tanh, erf and the logistic function of four floats at a time. Errors below are the largest found against
// float64 over dense samples of the whole range, in both variants (test/wasm-math.test.ts keeps them), in units in the last
// place of the result. All pass NaN on. The polynomials are minimax fits of our own (Remez exchange on the relative error).
//
// Numbers come from tables in memory: V8 since Node 22 makes a constant vector anew wherever it is used, in three instructions,
// and a function of twenty of them takes twice as long.
import { madd, spread } from './simd';

/**
 * Adding and subtracting 1.5·2^23 rounds to the nearest integer, which then stands in the low bits above these. Then those of
 * 1.5·2^23 less 127, and 127.
 */
const BITS = memory.data<i32>([0x4b400000, 0x4b3fff81, 127]);
/** Q of e^r from the highest power; 1; ln 2 in two parts; bounds; 1 / ln 2; 1.5·2^23; bounds. */
const EXP = memory.data<f32>([
  0.00138131452566, 0.00836941882964, 0.0416684567695, 0.166665147915, 0.499999930508, 1,
  -0.693359375, 0.00021219444005469058, -104, 89, 1.4426950408889634, 12582912, -88, -87.33, -87, 87,
]);
/** The smallest normal number, 2^23, 1, 2; R of log; ½; ln 2 in two parts. */
const LOG = memory.data<f32>([
  1.17549435e-38, 8388608, 1, 2, 0.29885186721, 0.399770794156, 0.666667797671, 0.5, -0.00021219444005469058, 0.693359375,
]);
/** P of tanh, 1, 2, where the two forms meet. */
const TANH = memory.data<f32>([-0.00589515802676, 0.0207959716521, -0.0537838302847, 0.133319241269, -0.333332980021, 1, 2, 0.6]);
/** P of erf, the bound of Q, Q, 1, where the two forms meet. */
const ERF = memory.data<f32>([
  -0.000599940391663, 0.00499482983085, -0.0267677194811, 0.112818459337, -0.376124964572, 0.128379149961,
  4, 2.10949704396e-5, -0.000434461733244, 0.00417105893717, -0.0251194170931, 0.10828007421, 0.633346919543, 1.12951492421, -0.000174683190832,
  1, 0.92,
]);

/** e^r for |r| ≤ ln 2 / 2, as 1 + r + r²·Q(r). */
@inline
function expReduced(r: v128): v128 {
  let q = madd(r, spread(EXP, 0), spread(EXP, 1));
  q = madd(q, r, spread(EXP, 2));
  q = madd(q, r, spread(EXP, 3));
  q = madd(q, r, spread(EXP, 4));
  return f32x4.add(madd(q, f32x4.mul(r, r), r), spread(EXP, 5));
}

/** x − n·ln 2, with ln 2 in two parts of which the first times n is exact. */
@inline
function reduceByLn2(x: v128, n: v128): v128 {
  const high = madd(n, spread(EXP, 6), x);
  return madd(n, spread(EXP, 7), high);
}

/** e^x: at most 1 ulp, denormal results included; 0 at −∞, +∞ from 88.7228394 on. */
@inline
export function exp4(x: v128): v128 {
  const inside = f32x4.pmin(f32x4.pmax(x, spread(EXP, 8)), spread(EXP, 9));
  const shifted = madd(inside, spread(EXP, 10), spread(EXP, 11));
  const n = f32x4.sub(shifted, spread(EXP, 11));
  const power = expReduced(reduceByLn2(inside, n));
  // 2^n in two factors, because n reaches from −150 to 128.
  const whole = i32x4.sub(shifted, spread(BITS, 0));
  const half = i32x4.shr_s(whole, 1);
  const first = i32x4.shl(i32x4.add(half, spread(BITS, 2)), 23);
  const second = i32x4.shl(i32x4.add(i32x4.sub(whole, half), spread(BITS, 2)), 23);
  return f32x4.mul(f32x4.mul(power, first), second);
}

/** e^x for x ≤ 0: at most 1 ulp; 0 below −87.33, where the result would be denormal. Quicker than {@link exp4}. */
@inline
export function expNegative4(x: v128): v128 {
  const inside = f32x4.pmax(x, spread(EXP, 12));
  const shifted = madd(inside, spread(EXP, 10), spread(EXP, 11));
  const n = f32x4.sub(shifted, spread(EXP, 11));
  const power = expReduced(reduceByLn2(inside, n));
  const scale = i32x4.shl(i32x4.sub(shifted, spread(BITS, 1)), 23);
  return v128.andnot(f32x4.mul(power, scale), f32x4.lt(x, spread(EXP, 13)));
}

/** e^x for |x| ≤ 87, e^±87 beyond: at most 1 ulp. For formulas that are saturated there anyway; as quick as it gets. */
@inline
export function expSaturated4(x: v128): v128 {
  const inside = f32x4.pmin(f32x4.pmax(x, spread(EXP, 14)), spread(EXP, 15));
  const shifted = madd(inside, spread(EXP, 10), spread(EXP, 11));
  const n = f32x4.sub(shifted, spread(EXP, 11));
  const scale = i32x4.shl(i32x4.sub(shifted, spread(BITS, 1)), 23);
  return f32x4.mul(expReduced(reduceByLn2(inside, n)), scale);
}

/** Natural logarithm: at most 1 ulp, denormals included; −∞ at 0, NaN below. */
@inline
export function log4(x: v128): v128 {
  // Denormals are brought into the normal range first.
  const tiny = f32x4.lt(x, spread(LOG, 0));
  const normal = v128.bitselect(f32x4.mul(x, spread(LOG, 1)), x, tiny);
  // x = m·2^e with m in [√½, √2).
  const offset = i32x4.sub(normal, i32x4.splat(0x3f3504f3));
  const whole = i32x4.sub(i32x4.shr_s(offset, 23), v128.and(tiny, i32x4.splat(23)));
  const e = f32x4.convert_i32x4_s(whole);
  const m = i32x4.add(v128.and(offset, i32x4.splat(0x007fffff)), i32x4.splat(0x3f3504f3));
  // log m = f − (f²/2 − s·(f²/2 + s²·R(s²))) with f = m − 1, s = f / (2 + f): the large term stands alone.
  const f = f32x4.sub(m, spread(LOG, 2));
  const s = f32x4.div(f, f32x4.add(f, spread(LOG, 3)));
  const z = f32x4.mul(s, s);
  let r = madd(z, spread(LOG, 4), spread(LOG, 5));
  r = madd(r, z, spread(LOG, 6));
  const halfSquare = f32x4.mul(f32x4.mul(f, f), spread(LOG, 7));
  const inner = madd(s, madd(r, z, halfSquare), f32x4.mul(e, spread(LOG, 8)));
  const value = madd(e, spread(LOG, 9), f32x4.add(f32x4.sub(inner, halfSquare), f));
  const infinite = f32x4.eq(x, f32x4.splat(Infinity));
  const zero = f32x4.eq(x, f32x4.splat(0));
  const ends = v128.bitselect(f32x4.splat(-Infinity), v128.bitselect(x, value, infinite), zero);
  // A comparison that NaN and negative numbers fail.
  return v128.bitselect(ends, f32x4.splat(NaN), f32x4.ge(x, f32x4.splat(0)));
}

/** 1 / (1 + e^−x): at most 2.5 ulp; 0 below −88.72, where the result would be denormal. */
@inline
export function sigmoid4(x: v128): v128 {
  return f32x4.div(spread(EXP, 5), f32x4.add(spread(EXP, 5), exp4(f32x4.neg(x))));
}

/** tanh: at most 1.5 ulp. x + x³·P(x²) up to 0.6, then 1 − 2 / (1 + e^2|x|). */
@inline
export function tanh4(x: v128): v128 {
  const size = f32x4.abs(x);
  const z = f32x4.mul(x, x);
  let p = madd(z, spread(TANH, 0), spread(TANH, 1));
  p = madd(p, z, spread(TANH, 2));
  p = madd(p, z, spread(TANH, 3));
  p = madd(p, z, spread(TANH, 4));
  const near = madd(f32x4.mul(p, z), size, size);
  const doubled = exp4(f32x4.add(size, size));
  const far = f32x4.sub(spread(TANH, 5), f32x4.div(spread(TANH, 6), f32x4.add(doubled, spread(TANH, 5))));
  const value = v128.bitselect(far, near, f32x4.gt(size, spread(TANH, 7)));
  return v128.bitselect(x, value, i32x4.splat(0x80000000));
}

/** erf: at most 1.5 ulp. x + x·P(x²) up to 0.92, then 1 − e^−Q(|x|), with Q a fit of −log erfc. */
@inline
export function erf4(x: v128): v128 {
  const size = f32x4.abs(x);
  const z = f32x4.mul(x, x);
  let p = madd(z, spread(ERF, 0), spread(ERF, 1));
  p = madd(p, z, spread(ERF, 2));
  p = madd(p, z, spread(ERF, 3));
  p = madd(p, z, spread(ERF, 4));
  p = madd(p, z, spread(ERF, 5));
  const near = madd(p, size, size);
  const inside = f32x4.pmin(size, spread(ERF, 6));
  let q = madd(inside, spread(ERF, 7), spread(ERF, 8));
  q = madd(q, inside, spread(ERF, 9));
  q = madd(q, inside, spread(ERF, 10));
  q = madd(q, inside, spread(ERF, 11));
  q = madd(q, inside, spread(ERF, 12));
  q = madd(q, inside, spread(ERF, 13));
  q = madd(q, inside, spread(ERF, 14));
  const far = f32x4.sub(spread(ERF, 15), expNegative4(f32x4.neg(q)));
  const value = v128.bitselect(far, near, f32x4.gt(size, spread(ERF, 16)));
  return v128.bitselect(x, value, i32x4.splat(0x80000000));
}
