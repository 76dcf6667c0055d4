// Threefry-2x32-20 (Salmon et al., SC 2011), four counters at a time and bit-equal to core: random, dropout, and the kept
// factors of attention. Element i of a stream is word i & 1 of block i >> 1; the counter of a block is as `fillUniform` of core says.
import { loadTail, storeTail } from './lanes';

@inline
function rotate(x: v128, bits: i32): v128 {
  return v128.or(i32x4.shl(x, bits), i32x4.shr_u(x, 32 - bits));
}

/** What a round makes of y, once x is x + y. */
@inline
function mix(x: v128, y: v128, bits: i32): v128 {
  return v128.xor(rotate(y, bits), x);
}

// The words of four blocks: globals of the instance, because a function returns one vector only.
let even: v128 = i32x4.splat(0);
let odd: v128 = i32x4.splat(0);

/** As in core: spreads what of an index is beyond 32 bits over the word of the stream. */
const BEYOND: i32 = 0x9e3779b9;

/** even, odd = the two words of each of the blocks with these counters. k2 = k0 ^ k1 ^ 0x1bd11bda. */
@inline
function encrypt(counters: v128, stream: v128, k0: v128, k1: v128, k2: v128): void {
  let x = i32x4.add(counters, k0);
  let y = i32x4.add(stream, k1);
  x = i32x4.add(x, y); y = mix(x, y, 13); x = i32x4.add(x, y); y = mix(x, y, 15);
  x = i32x4.add(x, y); y = mix(x, y, 26); x = i32x4.add(x, y); y = mix(x, y, 6);
  x = i32x4.add(x, k1); y = i32x4.add(y, i32x4.add(k2, i32x4.splat(1)));
  x = i32x4.add(x, y); y = mix(x, y, 17); x = i32x4.add(x, y); y = mix(x, y, 29);
  x = i32x4.add(x, y); y = mix(x, y, 16); x = i32x4.add(x, y); y = mix(x, y, 24);
  x = i32x4.add(x, k2); y = i32x4.add(y, i32x4.add(k0, i32x4.splat(2)));
  x = i32x4.add(x, y); y = mix(x, y, 13); x = i32x4.add(x, y); y = mix(x, y, 15);
  x = i32x4.add(x, y); y = mix(x, y, 26); x = i32x4.add(x, y); y = mix(x, y, 6);
  x = i32x4.add(x, k0); y = i32x4.add(y, i32x4.add(k1, i32x4.splat(3)));
  x = i32x4.add(x, y); y = mix(x, y, 17); x = i32x4.add(x, y); y = mix(x, y, 29);
  x = i32x4.add(x, y); y = mix(x, y, 16); x = i32x4.add(x, y); y = mix(x, y, 24);
  x = i32x4.add(x, k1); y = i32x4.add(y, i32x4.add(k2, i32x4.splat(4)));
  x = i32x4.add(x, y); y = mix(x, y, 13); x = i32x4.add(x, y); y = mix(x, y, 15);
  x = i32x4.add(x, y); y = mix(x, y, 26); x = i32x4.add(x, y); y = mix(x, y, 6);
  even = i32x4.add(x, k2); odd = i32x4.add(y, i32x4.add(k0, i32x4.splat(5)));
}

/** The upper 24 bits times 2^−24, exact. */
@inline
function toUniform(words: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_u(words, 8)), f32x4.splat(5.9604644775390625e-8));
}

/** Elements first … first + 7 of the stream (first even): the low four come back, the high four stay in `odd`. */
@inline
function eightUniforms(first: u64, stream: v128, k0: v128, k1: v128, k2: v128): v128 {
  const block = first >>> 1;
  const low = i32x4.splat(<i32>block);
  const counters = i32x4.add(low, i32x4(0, 1, 2, 3));
  // What is beyond 32 bits, and one more in the lanes that passed the end of them.
  const beyond = i32x4.sub(i32x4.splat(<i32>(block >>> 32)), i32x4.lt_u(counters, low));
  encrypt(counters, v128.xor(stream, i32x4.mul(beyond, i32x4.splat(BEYOND))), k0, k1, k2);
  const evens = toUniform(even);
  const odds = toUniform(odd);
  odd = i32x4.shuffle(evens, odds, 2, 6, 3, 7);
  return i32x4.shuffle(evens, odds, 0, 4, 1, 5);
}

/** Writes the first `count` (up to 4, possibly none) lanes. */
@inline
function storeSome(to: usize, count: i32, value: v128): void {
  if (count >= 4) v128.store(to, value);
  else if (count > 0) storeTail(to, count, value);
}

/** The first `count` (up to 4) floats. */
@inline
function loadSome(from: usize, count: i32): v128 {
  if (count >= 4) return v128.load(from);
  return count > 0 ? loadTail(from, count, f32x4.splat(0)) : f32x4.splat(0);
}

/** Items are blocks of eight elements of out [count]. */
export function random(begin: i32, end: i32, key: usize, out: usize, count: i32, stream: i32): void {
  const k0 = v128.load32_splat(key);
  const k1 = v128.load32_splat(key, 4);
  const k2 = v128.xor(v128.xor(k0, k1), i32x4.splat(0x1bd11bda));
  const streams = i32x4.splat(stream);
  for (let item = begin; item < end; item++) {
    const first = item << 3;
    const low = eightUniforms(<u64>first, streams, k0, k1, k2);
    const to = out + (first << 2);
    storeSome(to, count - first, low);
    storeSome(to + 16, count - first - 4, odd);
  }
}

/** out = x·factor where uniform ≥ rate, else 0. Items are blocks of eight elements of x [count]. */
export function dropout(
  begin: i32, end: i32, x: usize, key: usize, out: usize, count: i32, stream: i32, rate: f32, factor: f32,
): void {
  const k0 = v128.load32_splat(key);
  const k1 = v128.load32_splat(key, 4);
  const k2 = v128.xor(v128.xor(k0, k1), i32x4.splat(0x1bd11bda));
  const streams = i32x4.splat(stream);
  const rates = f32x4.splat(rate);
  const factors = f32x4.splat(factor);
  for (let item = begin; item < end; item++) {
    const first = item << 3;
    const low = eightUniforms(<u64>first, streams, k0, k1, k2);
    const from = x + (first << 2);
    const to = out + (first << 2);
    const left = count - first;
    storeSome(to, left, v128.and(f32x4.ge(low, rates), f32x4.mul(loadSome(from, left), factors)));
    storeSome(to + 16, left - 4, v128.and(f32x4.ge(odd, rates), f32x4.mul(loadSome(from + 16, left - 4), factors)));
  }
}

/**
 * to[i] = factor where uniform(key, stream)[start + i] ≥ rate, else 0, for i < count. Writes up to 8 floats beyond: `to` must
 * have room.
 */
export function keptFactors(key: usize, stream: i32, start: u64, count: i32, rate: f32, factor: f32, to: usize): void {
  const k0 = v128.load32_splat(key);
  const k1 = v128.load32_splat(key, 4);
  const k2 = v128.xor(v128.xor(k0, k1), i32x4.splat(0x1bd11bda));
  const streams = i32x4.splat(stream);
  const rates = f32x4.splat(rate);
  const factors = f32x4.splat(factor);
  const skipped = <i32>(start & 1);
  const base = to - (skipped << 2);
  for (let i = 0; i < count + skipped; i += 8) {
    const low = eightUniforms(start + <u64>(i - skipped), streams, k0, k1, k2);
    const at = base + (i << 2);
    v128.store(at, v128.and(f32x4.ge(low, rates), factors));
    v128.store(at + 16, v128.and(f32x4.ge(odd, rates), factors));
  }
}
