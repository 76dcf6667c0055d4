// Counter-based random numbers on the host: Threefry-2x32 with 20 rounds (Salmon et al., SC 2011).
// The same (key, stream, index) gives the same number everywhere and in any order. The `random` primitive of every
// backend must equal `uniformAt` to the bit. Not a stateful generator.

import { XMoEError } from './errors.js';
import { describeArgument } from './checks.js';

/** A random key: two 32-bit words. Keys are values; derive new ones with {@link foldIn}. */
export type RandomKey = readonly [number, number];

const PARITY = 0x1bd11bda;
/** Spreads what of an index is beyond 32 bits over the word of the stream: odd, so that no two blocks of a stream meet. */
const BEYOND = 0x9e3779b9;
/** The second counter of keys that are folded in, with what of the data is beyond 32 bits. */
const FOLD = 0x666f6c64;

/**
 * One Threefry-2x32-20 block: encrypts the counter (c0, c1) under the key (k0, k1). Writes two uint32 into `out`. Rounds are written out: it
 * runs once per two elements of every dropout mask.
 */
export function threefry2x32(k0: number, k1: number, c0: number, c1: number, out: Uint32Array): void {
  const k2 = k0 ^ k1 ^ PARITY;
  let x0 = (c0 + k0) | 0;
  let x1 = (c1 + k1) | 0;
  x0 = (x0 + x1) | 0; x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0; x0 = (x0 + x1) | 0; x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
  x0 = (x0 + x1) | 0; x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0; x0 = (x0 + x1) | 0; x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
  x0 = (x0 + k1) | 0; x1 = (x1 + k2 + 1) | 0;
  x0 = (x0 + x1) | 0; x1 = ((x1 << 17) | (x1 >>> 15)) ^ x0; x0 = (x0 + x1) | 0; x1 = ((x1 << 29) | (x1 >>> 3)) ^ x0;
  x0 = (x0 + x1) | 0; x1 = ((x1 << 16) | (x1 >>> 16)) ^ x0; x0 = (x0 + x1) | 0; x1 = ((x1 << 24) | (x1 >>> 8)) ^ x0;
  x0 = (x0 + k2) | 0; x1 = (x1 + k0 + 2) | 0;
  x0 = (x0 + x1) | 0; x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0; x0 = (x0 + x1) | 0; x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
  x0 = (x0 + x1) | 0; x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0; x0 = (x0 + x1) | 0; x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
  x0 = (x0 + k0) | 0; x1 = (x1 + k1 + 3) | 0;
  x0 = (x0 + x1) | 0; x1 = ((x1 << 17) | (x1 >>> 15)) ^ x0; x0 = (x0 + x1) | 0; x1 = ((x1 << 29) | (x1 >>> 3)) ^ x0;
  x0 = (x0 + x1) | 0; x1 = ((x1 << 16) | (x1 >>> 16)) ^ x0; x0 = (x0 + x1) | 0; x1 = ((x1 << 24) | (x1 >>> 8)) ^ x0;
  x0 = (x0 + k1) | 0; x1 = (x1 + k2 + 4) | 0;
  x0 = (x0 + x1) | 0; x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0; x0 = (x0 + x1) | 0; x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
  x0 = (x0 + x1) | 0; x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0; x0 = (x0 + x1) | 0; x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
  x0 = (x0 + k2) | 0; x1 = (x1 + k0 + 5) | 0;
  out[0] = x0;
  out[1] = x1;
}

/** A key from any integer seed within ±2^53. @throws XMoEError `value` for anything else. */
export function randomKey(seed: number): RandomKey {
  if (!Number.isSafeInteger(seed)) {
    throw new XMoEError('value', `the seed is ${describeArgument(seed)}`, { op: 'randomKey', hint: 'pass a whole number within ±2^53' });
  }
  return [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
}

/**
 * A new key derived from `key` and `data`: an integer from 0 to 2^53 − 1, or a name, which is hashed. Independent for distinct integers.
 * @throws XMoEError `value` for fractions, negative numbers and what is no number or name
 */
export function foldIn(key: RandomKey, data: number | string): RandomKey {
  if (!Array.isArray(key)) throw new XMoEError('value', 'the key is no random key', { op: 'foldIn', hint: 'make one with randomKey(seed)' });
  const word = typeof data === 'string' ? hashName(data) : data;
  if (!Number.isSafeInteger(word) || word < 0) {
    throw new XMoEError('value', `data is ${describeArgument(data)}`, { op: 'foldIn', hint: 'pass a whole number from 0 to 2^53 − 1, or a name' });
  }
  const out = new Uint32Array(2);
  threefry2x32(key[0], key[1], word >>> 0, FOLD ^ Math.floor(word / 2 ** 32), out);
  return [out[0]!, out[1]!];
}

/** FNV-1a over the UTF-16 code units of `name`: the stream number of a named random site (32 bits). */
export function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) {
    hash ^= name.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  return hash >>> 0;
}

/** The second counter of block number `block` of a stream, whose first counter are the lower 32 bits of `block`. */
export function streamCounter(stream: number, block: number): number {
  return (block < 2 ** 32 ? stream : stream ^ Math.imul(Math.floor(block / 2 ** 32), BEYOND)) >>> 0;
}

/**
 * Fills `out` with the uniform numbers in [0, 1) of the stream from element `first` on (below 2^53): element i is word i mod 2 of
 * block ⌊i / 2⌋, its upper 24 bits times 2^-24 (exact in float32). The counter of block b is b mod 2^32, and the stream XOR
 * ⌊b / 2^32⌋ · 0x9e3779b9 mod 2^32: just the stream below 2^33 elements.
 */
export function fillUniform(key: RandomKey, stream: number, out: Float32Array | Float64Array, first = 0): void {
  const words = new Uint32Array(2);
  const [k0, k1] = [key[0] | 0, key[1] | 0];
  let block = Math.floor(first / 2);
  for (let i = first % 2 === 0 ? 0 : -1; i < out.length; i += 2, block++) {
    threefry2x32(k0, k1, block | 0, streamCounter(stream, block) | 0, words);
    if (i >= 0) out[i] = (words[0]! >>> 8) * 2 ** -24;
    if (i + 1 < out.length) out[i + 1] = (words[1]! >>> 8) * 2 ** -24;
  }
}

/** Uniform numbers in [0, 1), as {@link fillUniform}. */
export function hostUniform(key: RandomKey, length: number, stream = 0): Float32Array {
  const out = new Float32Array(length);
  fillUniform(key, stream, out);
  return out;
}

/** Standard normal numbers by Box–Muller on {@link hostUniform}, computed in float64, rounded to float32. */
export function hostNormal(key: RandomKey, length: number, stream = 0): Float32Array {
  const uniform = hostUniform(key, length + (length & 1), stream);
  const out = new Float32Array(length);
  for (let i = 0; i < length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform[i]!));
    const angle = 2 * Math.PI * uniform[i + 1]!;
    out[i] = radius * Math.cos(angle);
    if (i + 1 < length) out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}

/** A random integer permutation of 0 … length − 1 (Fisher–Yates on {@link hostUniform}). */
export function hostPermutation(key: RandomKey, length: number, stream = 0): Int32Array {
  const uniform = hostUniform(key, length, stream);
  const out = Int32Array.from({ length }, (_, index) => index);
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(uniform[i]! * (i + 1));
    const kept = out[i]!;
    out[i] = out[j]!;
    out[j] = kept;
  }
  return out;
}
