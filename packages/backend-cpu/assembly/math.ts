// exp, log, tanh, erf and the logistic function of four floats at a time. Errors below are the largest found against
// float64 over dense samples of the whole range, in both variants (test/wasm-math.test.ts keeps them), in units in the last
// place of the result. All pass NaN on. The polynomials are minimax fits of our own (Remez exchange on the relative error).
import { madd } from './simd';

/** Adding and subtracting 1.5·2^23 rounds to the nearest integer, which then stands in the low bits. */
const ROUND: f32 = 12582912;
const ROUND_BITS: i32 = 0x4b400000;

/** e^r for |r| ≤ ln 2 / 2, as 1 + r + r²·Q(r). */
@inline
function expReduced(r: v128): v128 {
  let q = madd(r, f32x4.splat(0.00138131452566), f32x4.splat(0.00836941882964));
  q = madd(q, r, f32x4.splat(0.0416684567695));
  q = madd(q, r, f32x4.splat(0.166665147915));
  q = madd(q, r, f32x4.splat(0.499999930508));
  return f32x4.add(madd(q, f32x4.mul(r, r), r), f32x4.splat(1));
}

/** x − n·ln 2, with ln 2 in two parts of which the first times n is exact. */
@inline
function reduceByLn2(x: v128, n: v128): v128 {
  const high = madd(n, f32x4.splat(-0.693359375), x);
  return madd(n, f32x4.splat(0.00021219444005469058), high);
}

/** e^x: at most 1 ulp, denormal results included; 0 at −∞, +∞ from 88.7228394 on. */
@inline
export function exp4(x: v128): v128 {
  const inside = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-104)), f32x4.splat(89));
  const shifted = madd(inside, f32x4.splat(1.4426950408889634), f32x4.splat(ROUND));
  const n = f32x4.sub(shifted, f32x4.splat(ROUND));
  const power = expReduced(reduceByLn2(inside, n));
  // 2^n in two factors, because n reaches from −150 to 128.
  const whole = i32x4.sub(shifted, i32x4.splat(ROUND_BITS));
  const half = i32x4.shr_s(whole, 1);
  const first = i32x4.shl(i32x4.add(half, i32x4.splat(127)), 23);
  const second = i32x4.shl(i32x4.add(i32x4.sub(whole, half), i32x4.splat(127)), 23);
  return f32x4.mul(f32x4.mul(power, first), second);
}

/** e^x for x ≤ 0: at most 1 ulp; 0 below −87.33, where the result would be denormal. Quicker than {@link exp4}. */
@inline
export function expNegative4(x: v128): v128 {
  const inside = f32x4.pmax(x, f32x4.splat(-88));
  const shifted = madd(inside, f32x4.splat(1.4426950408889634), f32x4.splat(ROUND));
  const n = f32x4.sub(shifted, f32x4.splat(ROUND));
  const power = expReduced(reduceByLn2(inside, n));
  const scale = i32x4.shl(i32x4.sub(shifted, i32x4.splat(ROUND_BITS - 127)), 23);
  return v128.andnot(f32x4.mul(power, scale), f32x4.lt(x, f32x4.splat(-87.33)));
}

/** e^x for |x| ≤ 87, e^±87 beyond: at most 1 ulp. For formulas that are saturated there anyway; as quick as it gets. */
@inline
export function expSaturated4(x: v128): v128 {
  const inside = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-87)), f32x4.splat(87));
  const shifted = madd(inside, f32x4.splat(1.4426950408889634), f32x4.splat(ROUND));
  const n = f32x4.sub(shifted, f32x4.splat(ROUND));
  const scale = i32x4.shl(i32x4.sub(shifted, i32x4.splat(ROUND_BITS - 127)), 23);
  return f32x4.mul(expReduced(reduceByLn2(inside, n)), scale);
}

/** Natural logarithm: at most 1 ulp, denormals included; −∞ at 0, NaN below. */
@inline
export function log4(x: v128): v128 {
  // Denormals are brought into the normal range first.
  const tiny = f32x4.lt(x, f32x4.splat(1.17549435e-38));
  const normal = v128.bitselect(f32x4.mul(x, f32x4.splat(8388608)), x, tiny);
  // x = m·2^e with m in [√½, √2).
  const offset = i32x4.sub(normal, i32x4.splat(0x3f3504f3));
  const whole = i32x4.sub(i32x4.shr_s(offset, 23), v128.and(tiny, i32x4.splat(23)));
  const e = f32x4.convert_i32x4_s(whole);
  const m = i32x4.add(v128.and(offset, i32x4.splat(0x007fffff)), i32x4.splat(0x3f3504f3));
  // log m = f − (f²/2 − s·(f²/2 + s²·R(s²))) with f = m − 1, s = f / (2 + f): the large term stands alone.
  const f = f32x4.sub(m, f32x4.splat(1));
  const s = f32x4.div(f, f32x4.add(f, f32x4.splat(2)));
  const z = f32x4.mul(s, s);
  let r = madd(z, f32x4.splat(0.29885186721), f32x4.splat(0.399770794156));
  r = madd(r, z, f32x4.splat(0.666667797671));
  const halfSquare = f32x4.mul(f32x4.mul(f, f), f32x4.splat(0.5));
  const inner = madd(s, madd(r, z, halfSquare), f32x4.mul(e, f32x4.splat(-0.00021219444005469058)));
  const value = madd(e, f32x4.splat(0.693359375), f32x4.add(f32x4.sub(inner, halfSquare), f));
  const infinite = f32x4.eq(x, f32x4.splat(Infinity));
  const zero = f32x4.eq(x, f32x4.splat(0));
  const ends = v128.bitselect(f32x4.splat(-Infinity), v128.bitselect(x, value, infinite), zero);
  // A comparison that NaN and negative numbers fail.
  return v128.bitselect(ends, f32x4.splat(NaN), f32x4.ge(x, f32x4.splat(0)));
}

/** 1 / (1 + e^−x): at most 2.5 ulp; 0 below −88.72, where the result would be denormal. */
@inline
export function sigmoid4(x: v128): v128 {
  return f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), exp4(f32x4.neg(x))));
}

/** tanh: at most 1.5 ulp. x + x³·P(x²) up to 0.6, then 1 − 2 / (1 + e^2|x|). */
@inline
export function tanh4(x: v128): v128 {
  const size = f32x4.abs(x);
  const z = f32x4.mul(x, x);
  let p = madd(z, f32x4.splat(-0.00589515802676), f32x4.splat(0.0207959716521));
  p = madd(p, z, f32x4.splat(-0.0537838302847));
  p = madd(p, z, f32x4.splat(0.133319241269));
  p = madd(p, z, f32x4.splat(-0.333332980021));
  const near = madd(f32x4.mul(p, z), size, size);
  const doubled = exp4(f32x4.add(size, size));
  const far = f32x4.sub(f32x4.splat(1), f32x4.div(f32x4.splat(2), f32x4.add(doubled, f32x4.splat(1))));
  const value = v128.bitselect(far, near, f32x4.gt(size, f32x4.splat(0.6)));
  return v128.bitselect(x, value, i32x4.splat(0x80000000));
}

/** erf: at most 1.5 ulp. x + x·P(x²) up to 0.92, then 1 − e^−Q(|x|), with Q a fit of −log erfc. */
@inline
export function erf4(x: v128): v128 {
  const size = f32x4.abs(x);
  const z = f32x4.mul(x, x);
  let p = madd(z, f32x4.splat(-0.000599940391663), f32x4.splat(0.00499482983085));
  p = madd(p, z, f32x4.splat(-0.0267677194811));
  p = madd(p, z, f32x4.splat(0.112818459337));
  p = madd(p, z, f32x4.splat(-0.376124964572));
  p = madd(p, z, f32x4.splat(0.128379149961));
  const near = madd(p, size, size);
  const inside = f32x4.pmin(size, f32x4.splat(4));
  let q = madd(inside, f32x4.splat(2.10949704396e-5), f32x4.splat(-0.000434461733244));
  q = madd(q, inside, f32x4.splat(0.00417105893717));
  q = madd(q, inside, f32x4.splat(-0.0251194170931));
  q = madd(q, inside, f32x4.splat(0.10828007421));
  q = madd(q, inside, f32x4.splat(0.633346919543));
  q = madd(q, inside, f32x4.splat(1.12951492421));
  q = madd(q, inside, f32x4.splat(-0.000174683190832));
  const far = f32x4.sub(f32x4.splat(1), expNegative4(f32x4.neg(q)));
  const value = v128.bitselect(far, near, f32x4.gt(size, f32x4.splat(0.92)));
  return v128.bitselect(x, value, i32x4.splat(0x80000000));
}
