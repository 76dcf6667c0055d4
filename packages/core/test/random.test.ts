// Counter-based random numbers: the published vectors of Threefry, and what they must be good for.
import { createCpuBackend } from '@xmoe/backend-cpu';
import {
  createEngine, foldIn, hashName, hostNormal, hostPermutation, hostUniform, randomGumbel, randomKey, randomNormal, randomUniform,
  type RandomKey,
} from '@xmoe/core';
import { fillUniform } from '@xmoe/core/backend';
import { threefry2x32 } from '../src/random.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const key: RandomKey = randomKey(42);
const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;

describe('threefry2x32', () => {
  // The known answers that come with Random123 (Salmon et al. 2011), threefry 2x32, 20 rounds.
  it.each([
    [[0, 0], [0, 0], [0x6b200159, 0x99ba4efe]],
    [[0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], [0x1cb996fc, 0xbb002be7]],
    [[0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3], [0xc4923a9c, 0x483df7a0]],
  ])('of key %o and counter %o is %o', ([k0, k1], [c0, c1], expected) => {
    const out = new Uint32Array(2);
    threefry2x32(k0!, k1!, c0!, c1!, out);
    expect([...out]).toEqual(expected);
  });
});

describe('uniform numbers', () => {
  it('are the upper 24 bits of the words, so that float32 holds them', () => {
    const block = new Uint32Array(2);
    threefry2x32(key[0], key[1], 1, 9, block);
    const values = hostUniform(key, 5, 9);
    expect([values[2], values[3]]).toEqual([...block].map((word) => (word >>> 8) / 2 ** 24));
    expect([...hostUniform(key, 4, 9)]).toEqual([...values.subarray(0, 4)]);
    const doubles = new Float64Array(5);
    fillUniform(key, 9, doubles);
    expect([...doubles]).toEqual([...values]);
  });

  it.each([1, 2, 2 ** 32 - 3, 2 ** 33 - 3, 2 ** 50 + 7])('from element %i on are those of a longer run, whose blocks differ', (first) => {
    const [longer, shorter] = [new Float32Array(12), new Float32Array(9)];
    fillUniform(key, 9, longer, first - 1);
    fillUniform(key, 9, shorter, first);
    expect([...shorter]).toEqual([...longer.subarray(1, 10)]);
    expect(new Set(longer).size).toBe(12);
  });

  it('do not repeat after 2^32 or 2^33 elements', () => {
    const starts = [0, 2 ** 32, 2 ** 33, 2 ** 33 + 2 ** 32, 2 ** 34, 2 ** 52].map((first) => {
      const out = new Float64Array(2);
      fillUniform(key, 9, out, first);
      return out.join();
    });
    expect(new Set(starts).size).toBe(starts.length);
    const block = new Uint32Array(2);
    threefry2x32(key[0], key[1], 5, 9 ^ Math.imul(3, 0x9e3779b9), block);
    const wide = new Float64Array(1);
    fillUniform(key, 9, wide, 3 * 2 ** 33 + 10);
    expect(wide[0]).toBe((block[0]! >>> 8) / 2 ** 24);
  });

  it('lie in [0, 1) and fill it evenly (chi-squared of 64 bins below its 99.99 % quantile)', () => {
    const values = hostUniform(key, 64_000);
    const counts = new Array<number>(64).fill(0);
    for (const value of values) {
      expect(value >= 0 && value < 1).toBe(true);
      counts[Math.floor(value * 64)]!++;
    }
    const chiSquared = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chiSquared).toBeLessThan(113);
    expect(chiSquared).toBeGreaterThan(29); // too even would be wrong as well
  });

  it('of different keys, streams and folds are uncorrelated', () => {
    const n = 20_000;
    const base = hostUniform(key, n);
    const others = [hostUniform(key, n, 1), hostUniform(foldIn(key, 0), n), hostUniform(foldIn(key, 1), n), hostUniform(foldIn(key, 'h.0'), n), hostUniform(randomKey(43), n)];
    for (const other of others) {
      const correlation = 12 * mean(base.map((value, index) => (value - 0.5) * (other[index]! - 0.5)));
      expect(Math.abs(correlation)).toBeLessThan(4 / Math.sqrt(n));
    }
  });
});

describe('keys', () => {
  it('fold numbers and names into distinct keys', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 2000; i++) seen.add(foldIn(key, i).join());
    for (let i = 0; i < 2000; i++) seen.add(foldIn(key, `layer.${i}`).join());
    seen.add(foldIn(foldIn(key, 1), 2).join()).add(foldIn(foldIn(key, 2), 1).join());
    expect(seen.size).toBe(4002);
    expect(foldIn(key, 'a')).toEqual(foldIn(key, hashName('a')));
    expect(hashName('')).toBe(0x811c9dc5); // FNV-1a's offset basis
    expect(hashName('a')).toBe(0xe40c292c);
  });

  it('fold in all of a number up to 2^53 − 1', () => {
    expect(foldIn(key, 1)).not.toEqual(foldIn(key, 2 ** 32 + 1));
    const large = [0, 1, 2 ** 31, 2 ** 32 - 1].flatMap((low) => [0, 1, 2, 3 * 2 ** 10, 2 ** 20, 2 ** 21 - 1].map((high) => high * 2 ** 32 + low));
    expect(large.at(-1)).toBe(Number.MAX_SAFE_INTEGER);
    expect(new Set(large.map((data) => foldIn(key, data).join())).size).toBe(large.length);
  });

  it('of data below 2^32 are what they have always been', () => {
    const pinned = [[1, [2836878457, 535056920]], [4294967295, [1379712394, 3838356121]], ['h.0', [209172222, 1739764222]]] as const;
    for (const [data, words] of pinned) expect(foldIn(key, data)).toEqual(words);  });

  it.each([0.5, -1, -(2 ** 32), NaN, Infinity, 2 ** 53, undefined])('refuse to fold in %s', (data) => {
    expect(() => foldIn(key, data as number)).toThrowError(expect.objectContaining({ code: 'value', op: 'foldIn' }));
  });

  it('come from seeds beyond 32 bits', () => {
    expect(randomKey(2 ** 32 + 5)).toEqual([5, 1]);
    expect(randomKey(5)).toEqual([5, 0]);
  });
});

describe('derived distributions', () => {
  it('normal numbers have mean 0, variance 1 and normal tails, also for odd lengths', () => {
    const values = hostNormal(key, 40_001);
    expect(Math.abs(mean(values))).toBeLessThan(0.02);
    expect(Math.abs(mean(values.map((value) => value * value)) - 1)).toBeLessThan(0.03);
    expect(mean(values.map((value) => (Math.abs(value) > 1.96 ? 1 : 0)))).toBeCloseTo(0.05, 2);
    expect(values.every(Number.isFinite)).toBe(true);
  });

  it('permutations hold each number once, and every order of three is as likely', () => {
    fc.assert(fc.property(fc.nat(200), fc.nat(), (length, seed) => {
      expect([...hostPermutation(randomKey(seed), length)].sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i));
    }), { numRuns: 50 });
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const order = hostPermutation(randomKey(seed), 3).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(130);
  });

  it('are the same kind on the device; uniform ones are equal to the bit', () => {
    const engine = createEngine(createCpuBackend());
    const deviceKey = engine.key(key);
    expect([...randomUniform(deviceKey, [3, 7], 5).dataSync()]).toEqual([...hostUniform(key, 21, 5)]);
    const normal = randomNormal(deviceKey, [20_000]).dataSync();
    expect(Math.abs(mean(normal))).toBeLessThan(0.03);
    expect(Math.abs(mean(Array.from(normal, (value) => value * value)) - 1)).toBeLessThan(0.05);
    const gumbel = randomGumbel(deviceKey, [20_000]).dataSync();
    expect(mean(gumbel)).toBeCloseTo(0.5772, 1);
    expect(gumbel.every(Number.isFinite)).toBe(true);
    deviceKey.write([1, 2]);
    expect([...randomUniform(deviceKey, [2], 5).dataSync()]).toEqual([...hostUniform([1, 2], 2, 5)]);
  });
});
