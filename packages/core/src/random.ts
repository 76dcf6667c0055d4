// Counter-based random numbers on the host: Threefry-2x32 with 20 rounds (Salmon et al., SC 2011).
// The same (key, stream, index) gives the same number everywhere and in any order. The `random` primitive of every
// backend must equal `uniformAt` to the bit. Not a stateful generator.

import { XMoEError } from './errors.js';
import { describeArgument } from './host-values.js';

/** A random key: two 32-bit words. Keys are values; derive new ones with {@link foldIn}. */
export type RandomKey = readonly [number, number];

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const PARITY = 0x1bd11bda;
/** The second counter of keys that are folded in, with what of the data is beyond 32 bits. */
const FOLD = 0x666f6c64;

/** One Threefry-2x32-20 block: encrypts the counter (c0, c1) under the key (k0, k1). Writes two uint32 into `out`. */
export function threefry2x32(k0: number, k1: number, c0: number, c1: number, out: Uint32Array): void {
  const k2 = k0 ^ k1 ^ PARITY;
  let x0 = (c0 + k0) | 0;
  let x1 = (c1 + k1) | 0;
  for (let round = 0; round < 20; round++) {
    const rotation = ROTATIONS[round & 7]!;
    x0 = (x0 + x1) | 0;
    x1 = (x1 << rotation) | (x1 >>> (32 - rotation));
    x1 ^= x0;
    if ((round & 3) === 3) {
      const injection = (round >> 2) + 1;
      const phase = injection % 3;
      const a = phase === 0 ? k0 : phase === 1 ? k1 : k2;
      const b = phase === 0 ? k1 : phase === 1 ? k2 : k0;
      x0 = (x0 + a) | 0;
      x1 = (x1 + b + injection) | 0;
    }
  }
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

/**
 * Fills `out` with uniform numbers in [0, 1): element i is word i & 1 of the block with counter (i >> 1, stream),
 * its upper 24 bits times 2^-24 (exact in float32).
 */
export function fillUniform(key: RandomKey, stream: number, out: Float32Array | Float64Array): void {
  const block = new Uint32Array(2);
  for (let i = 0; i < out.length; i += 2) {
    threefry2x32(key[0], key[1], i >>> 1, stream, block);
    out[i] = (block[0]! >>> 8) * 2 ** -24;
    if (i + 1 < out.length) out[i + 1] = (block[1]! >>> 8) * 2 ** -24;
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
