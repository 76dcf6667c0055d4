// The random integers of numpy's default generator, so that resampling draws the very lines that sacreBLEU draws:
// SeedSequence (O'Neill's seed_seq hashing), PCG64 (PCG XSL-RR 128/64, O'Neill 2014) and Lemire's bounded integers (2019).
// For resampling only; not for secrets.
import { MetricsError } from './errors.js';

const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const MASK_64 = (1n << 64n) - 1n;

/** Draws uniform integers in 0 … bound − 1, as `numpy.random.default_rng(seed).integers(bound)` does for bounds below 2³². */
export function createNumpyIntegers(seed: number): (bound: number) => number {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new MetricsError(`seed is ${seed}`, { op: 'bootstrap', hint: 'pass an integer from 0' });
  }
  const next32 = createPcg64(seed);
  return (bound) => {
    if (bound === 1) return 0; // draws nothing
    const threshold = (2 ** 32 - bound) % bound;
    for (;;) {
      const product = next32() * bound; // below 2⁵³ for bounds up to 2²¹
      const low = product % 2 ** 32;
      if (low >= threshold) return (product - low) / 2 ** 32;
    }
  };
}

/** Bounds that keep the product of a draw exact. */
export const MOST_LINES = 2 ** 21;

/** 32-bit halves of PCG64's output, the lower one first. */
function createPcg64(seed: number): () => number {
  const words = seedWords(seed, 8).map(BigInt);
  const pair = (at: number): bigint => words[at] | (words[at + 1] << 32n);
  const wide = (high: bigint, low: bigint): bigint => (high << 64n) | low;
  const increment = BigInt.asUintN(128, (wide(pair(4), pair(6)) << 1n) | 1n);
  const step = (state: bigint): bigint => BigInt.asUintN(128, state * MULTIPLIER + increment);
  let state = step(BigInt.asUintN(128, step(0n) + wide(pair(0), pair(2))));
  let upper: number | undefined;
  return () => {
    if (upper !== undefined) {
      const half = upper;
      upper = undefined;
      return half;
    }
    state = step(state);
    const folded = (state >> 64n) ^ (state & MASK_64);
    const rotation = state >> 122n;
    const output = BigInt.asUintN(64, (folded >> rotation) | (folded << (64n - rotation)));
    upper = Number(output >> 32n);
    return Number(output & 0xffffffffn);
  };
}

const POOL = 4;

/** `numpy.random.SeedSequence(seed).generate_state(count)`. */
function seedWords(seed: number, count: number): number[] {
  const entropy = seed < 2 ** 32 ? [seed] : [seed >>> 0, Math.floor(seed / 2 ** 32)];
  let hashConstant = 0x43b0d7e5;
  const hash = (value: number): number => {
    value = (value ^ hashConstant) >>> 0;
    hashConstant = Math.imul(hashConstant, 0x931e8875) >>> 0;
    value = Math.imul(value, hashConstant) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mix = (x: number, y: number): number => {
    const result = (Math.imul(x, 0xca01f9dd) - Math.imul(y, 0x4973f715)) >>> 0;
    return (result ^ (result >>> 16)) >>> 0;
  };
  const pool = Array.from({ length: POOL }, (_, i) => hash(entropy[i] ?? 0));
  for (let from = 0; from < POOL; from++) {
    for (let to = 0; to < POOL; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
  }
  let constant = 0x8b51f9dd;
  return Array.from({ length: count }, (_, i) => {
    let value = (pool[i % POOL] ^ constant) >>> 0;
    constant = Math.imul(constant, 0x58f38ded) >>> 0;
    value = Math.imul(value, constant) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  });
}
