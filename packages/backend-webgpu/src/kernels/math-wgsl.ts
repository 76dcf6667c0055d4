// WGSL functions that several kernels share: transcendental functions where WGSL's own are too coarse, may overflow or do not
// exist, comparisons that hold for NaN and infinities, random numbers. Each is written for one width: pass the WGSL type.
// Not kernels.

/** The type that a function is made for. */
export type FloatWidth = 'f32' | 'vec4<f32>';

const boolOf = (F: FloatWidth): string => (F === 'f32' ? 'bool' : 'vec4<bool>');
const uintOf = (F: FloatWidth): string => (F === 'f32' ? 'u32' : 'vec4<u32>');
const intOf = (F: FloatWidth): string => (F === 'f32' ? 'i32' : 'vec4<i32>');

/** `isNan(v)`: by its bits, since a compiler may take v != v for false. */
export function isNanWgsl(F: FloatWidth): string {
  const U = uintOf(F);
  return `fn isNan(v: ${F}) -> ${boolOf(F)} { return (bitcast<${U}>(v) & ${U}(0x7fffffffu)) > ${U}(0x7f800000u); }`;
}

/** `larger(a, b)` and `smaller(a, b)`: NaN where either is. Needs isNan. */
export function extremeWgsl(F: FloatWidth): string {
  return `
fn larger(a: ${F}, b: ${F}) -> ${F} { return select(select(b, a, a > b), a + b, isNan(a) | isNan(b)); }
fn smaller(a: ${F}, b: ${F}) -> ${F} { return select(select(b, a, a < b), a + b, isNan(a) | isNan(b)); }`.trim();
}

/** `orderOf(v)`: an integer that orders as v does, infinities included; −0 as 0. NaN must be asked for apart. */
export function orderWgsl(F: FloatWidth): string {
  const I = intOf(F);
  return `
fn orderOf(v: ${F}) -> ${I} {
  let bits = bitcast<${I}>(v);
  return select(bits, ${I}(i32(-0x7fffffff) - 1) - bits, bits < ${I}(0));
}`.trim();
}

/** `tanhOf(v)`: 2 ulp where exp is good to 1. x + x³·P(x²) up to 0.6, then 1 − 2 / (1 + e^2|x|); P as in the compiled CPU kernels. */
export function tanhWgsl(F: FloatWidth): string {
  return `
fn tanhOf(v: ${F}) -> ${F} {
  let size = abs(v);
  let z = v * v;
  let p = ((((z * -0.00589515802676 + 0.0207959716521) * z - 0.0537838302847) * z + 0.133319241269) * z - 0.333332980021) * z;
  let far = 1 - 2 / (exp(2 * select(size, ${F}(20), size > ${F}(20))) + 1);
  return select(select(p * v + v, far, size > ${F}(0.6)), -far, v < ${F}(-0.6));
}`.trim();
}

/** `erfOf(v)`: x + x·P(x²) up to 0.92, then 1 − e^−Q(|x|), with Q a fit of −log erfc; both as in the compiled CPU kernels. */
export function erfWgsl(F: FloatWidth): string {
  return `
fn erfOf(v: ${F}) -> ${F} {
  let size = abs(v);
  let z = v * v;
  let p = ((((z * -0.000599940391663 + 0.00499482983085) * z - 0.0267677194811) * z + 0.112818459337) * z - 0.376124964572) * z + 0.128379149961;
  let s = select(size, ${F}(4), size > ${F}(4));
  let q = ((((((s * 2.10949704396e-5 - 0.000434461733244) * s + 0.00417105893717) * s - 0.0251194170931) * s + 0.10828007421) * s
    + 0.633346919543) * s + 1.12951492421) * s - 0.000174683190832;
  let far = 1 - exp(-q);
  return select(select(p * v + v, far, size > ${F}(0.92)), -far, v < ${F}(-0.92));
}`.trim();
}

/** `expOf(v)`: exp where WGSL's own may lose NaN. Needs isNan. */
export function expWgsl(F: FloatWidth): string {
  return `fn expOf(v: ${F}) -> ${F} { return select(exp(v), v, isNan(v)); }`;
}

/** `logOf(v)`: log with its ends, which WGSL leaves open: −∞ at 0, NaN below, ∞ and NaN themselves. */
export function logWgsl(F: FloatWidth): string {
  const U = uintOf(F);
  return `
fn logOf(v: ${F}) -> ${F} {
  let bits = bitcast<${U}>(v);
  let low = select(${U}(0x7fc00000u), ${U}(0xff800000u), v == ${F}(0)) | (bits & ${U}(0u)); // not a constant: it would be refused
  return select(select(log(v), v, (bits & ${U}(0x7fffffffu)) >= ${U}(0x7f800000u)), bitcast<${F}>(low), v <= ${F}(0));
}`.trim();
}

/** `sigmoidOf(v)`, without overflow at either end. Needs expOf. */
export function sigmoidWgsl(F: FloatWidth): string {
  return `
fn sigmoidOf(v: ${F}) -> ${F} {
  let e = expOf(-abs(v));
  return select(${F}(1), e, v < ${F}(0)) / (1 + e);
}`.trim();
}

/**
 * `sineOf(v, quarters)`: sin(v + quarters·π/2). WGSL promises 2^−11 for its own. The argument is reduced to ±π/4 with π/2 in three
 * parts, good to |v| ≈ 10⁵; then Taylor.
 */
export function sineWgsl(F: FloatWidth): string {
  const I = intOf(F);
  return `
fn sineOf(v: ${F}, quarters: i32) -> ${F} {
  let n = round(v * 0.6366197723675814);
  let r = ((v - n * 1.5703125) - n * 0.000483751296997) - n * 7.54978995489e-8;
  let z = r * r;
  let sine = r + r * z * (((z * 2.7557319e-6 - 0.00019841270) * z + 0.0083333333) * z - 0.16666667);
  let cosine = 1 + z * (((z * 2.4801587e-5 - 0.0013888889) * z + 0.041666667) * z - 0.5);
  let k = ${I}(n) + quarters;
  let value = select(sine, cosine, (k & ${I}(1)) != ${I}(0));
  return select(value, -value, (k & ${I}(2)) != ${I}(0));
}`.trim();
}

/** `powerOf(a, b)` as Math.pow: whole powers of negative numbers, 1 for b = 0, NaN for other powers of negative numbers, ∞ for negative powers of 0. */
export function powerWgsl(F: FloatWidth): string {
  return `
fn powerOf(a: ${F}, b: ${F}) -> ${F} {
  let size = select(pow(abs(a), b), 1 / abs(a), (a == ${F}(0)) & (b < ${F}(0))); // some give 0
  let odd = abs(b - 2 * trunc(b / 2)) == ${F}(1);
  let signed = select(size, -size, odd);
  let negative = select(sqrt(select(a, -abs(a), a < ${F}(0))), signed, trunc(b) == b);
  return select(select(size, negative, a < ${F}(0)), ${F}(1), b == ${F}(0));
}`.trim();
}

/** `threefry(key, counter)`: one block of Threefry-2x32-20, as \`threefry2x32\` of core. */
const THREEFRY_WGSL = `
fn threefryRounds(x: vec2u, rotations: vec4u) -> vec2u {
  var s = x;
  s.x += s.y; s.y = ((s.y << rotations.x) | (s.y >> (32u - rotations.x))) ^ s.x;
  s.x += s.y; s.y = ((s.y << rotations.y) | (s.y >> (32u - rotations.y))) ^ s.x;
  s.x += s.y; s.y = ((s.y << rotations.z) | (s.y >> (32u - rotations.z))) ^ s.x;
  s.x += s.y; s.y = ((s.y << rotations.w) | (s.y >> (32u - rotations.w))) ^ s.x;
  return s;
}
fn threefry(key: vec2u, counter: vec2u) -> vec2u {
  let k2 = key.x ^ key.y ^ 0x1bd11bdau;
  var s = counter + key;
  s = threefryRounds(s, vec4u(13, 15, 26, 6)) + vec2u(key.y, k2 + 1);
  s = threefryRounds(s, vec4u(17, 29, 16, 24)) + vec2u(k2, key.x + 2);
  s = threefryRounds(s, vec4u(13, 15, 26, 6)) + vec2u(key.x, key.y + 3);
  s = threefryRounds(s, vec4u(17, 29, 16, 24)) + vec2u(key.y, k2 + 4);
  return threefryRounds(s, vec4u(13, 15, 26, 6)) + vec2u(k2, key.x + 5);
}`.trim();

/** Indices of 64 bits, the lower word first: `wideProduct(a, b)` and `wideSum(a, b)` lose nothing. */
export const WIDE_WGSL = `
fn wideProduct(a: u32, b: u32) -> vec2u {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return vec2u((other << 16u) | (low & 0xffffu), (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u));
}
fn wideSum(a: vec2u, b: u32) -> vec2u {
  let low = a.x + b;
  return vec2u(low, a.y + select(0u, 1u, low < b));
}`.trim();

/**
 * `randomBits(key, stream, i)`: the 24 bits behind uniform(key, stream)[i]; times 2^−24 they are the number. Compare them with
 * {@link dropBits} to decide what is dropped. i has 64 bits, the lower word first. `randomPair`: those of i and i + 1, for even i.
 */
export const RANDOM_BITS_WGSL = `
${THREEFRY_WGSL}
fn randomPair(key: vec2u, stream: u32, i: vec2u) -> vec2u {
  return threefry(key, vec2u((i.x >> 1u) | (i.y << 31u), stream ^ ((i.y >> 1u) * 0x9e3779b9u))) >> vec2u(8u);
}
fn randomBits(key: vec2u, stream: u32, i: vec2u) -> u32 {
  let pair = randomPair(key, stream, i);
  return select(pair.x, pair.y, (i.x & 1u) == 1u);
}`.trim();

/** An element is dropped where its random bits are below this: exactly where uniform < rate, as float32. */
export function dropBits(rate: number): number {
  return Math.ceil(Math.fround(rate) * 2 ** 24);
}
