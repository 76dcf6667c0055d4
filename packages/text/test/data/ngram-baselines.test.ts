// The n-gram baselines: probabilities that sum to one, hand-computed values, sources of known entropy.
import { foldIn, hostUniform, randomKey } from '@xmoe/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bitsPerByte, ngramBaselines } from '../../src/data/ngram-baselines.js';
import { createArraySplit } from '../../src/data/array-split.js';
import { countNgrams, fitBigramModel } from '../../src/data/bigram-model.js';
import { createCountTable } from '../../src/data/count-table.js';

/** A Markov chain over `size` tokens: the next is previous + 1 with probability 0.8, else uniform. */
function chain(length: number, size: number, seed: number): Int32Array {
  const uniform = hostUniform(foldIn(randomKey(seed), 'chain'), 2 * length);
  const tokens = new Int32Array(length);
  for (let i = 1; i < length; i++) {
    tokens[i] = uniform[2 * i] < 0.8 ? (tokens[i - 1] + 1) % size : Math.floor(uniform[2 * i + 1] * size);
  }
  return tokens;
}

describe('bigram model', () => {
  it('is a distribution for every context, seen or not', () => {
    const tokens = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 2, maxLength: 80 });
    fc.assert(
      fc.property(tokens, (list) => {
        const probability = fitBigramModel(countNgrams(createArraySplit(list), list.length, 8));
        for (let previous = 0; previous < 8; previous++) {
          const row = Array.from({ length: 8 }, (_, next) => probability(previous, next));
          expect(row.every((p) => p > 0)).toBe(true);
          expect(row.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 10);
        }
      }),
    );
  });

  it('interpolates as computed by hand', () => {
    // a b a c: pairs ab, ba, ac once each; few counts, so every discount is 0.75. V = 4.
    const probability = fitBigramModel(countNgrams(createArraySplit([0, 1, 0, 2]), 4, 4));
    const lower = [0, 1, 2].map(() => (1 - 0.75 + (3 * 0.75) / 4) / 3); // each of a, b, c follows one context
    const unseen = (3 * 0.75) / 4 / 3;
    expect(probability(0, 1)).toBeCloseTo((1 - 0.75 + 1.5 * lower[1]) / 2, 12);
    expect(probability(0, 3)).toBeCloseTo((1.5 * unseen) / 2, 12);
    expect(probability(3, 2)).toBeCloseTo(lower[2], 12);
  });

  it('uses the discounts of Chen and Goodman where counts allow', () => {
    // Context 0: successors 1…4 once, 5, 6 twice, 7 three times, 8 four times: n1 4, n2 2, n3 1, n4 1; others balance.
    const pairs: number[][] = [[1], [2], [3], [4], [5, 5], [6, 6], [7, 7, 7], [8, 8, 8, 8]];
    const table = createCountTable();
    for (const next of pairs.flat()) table.increment(next);
    const counts = { vocabularySize: 10, tokens: new Float64Array(10), total: 15, pairs: table };
    const y = 4 / (4 + 2 * 2);
    const [d1, d2, d3] = [1 - (2 * y * 2) / 4, 2 - (3 * y * 1) / 2, 3 - (4 * y * 1) / 1];
    const mass = (4 * d1 + 2 * d2 + 2 * d3) / 15;
    const probability = fitBigramModel(counts);
    const lower = probability(9, 8); // an unseen context leaves the lower order alone
    expect(probability(0, 8)).toBeCloseTo((4 - d3) / 15 + mass * lower, 12);
    expect(probability(0, 5)).toBeCloseTo((2 - d2) / 15 + mass * probability(9, 5), 12);
  });
});

describe('ngramBaselines', () => {
  it('computes the unigram with add-one smoothing', () => {
    const train = createArraySplit([0, 0, 1]);
    const { unigramPerplexity, scoredTokens } = ngramBaselines(train, createArraySplit([2, 0, 2]), 3);
    expect(scoredTokens).toBe(2); // 0 then 2
    expect(unigramPerplexity).toBeCloseTo(1 / Math.sqrt((3 / 6) * (1 / 6)), 12);
  });

  it('comes close to the entropy of a known source', () => {
    const size = 20;
    const [likely, other] = [0.8 + 0.2 / size, 0.2 / size];
    const entropy = -(likely * Math.log(likely) + (size - 1) * other * Math.log(other));
    const train = createArraySplit(chain(100_000, size, 1));
    const result = ngramBaselines(train, createArraySplit(chain(20_000, size, 2), { bytes: 40_000 }), size);
    expect(result.bigramPerplexity / Math.exp(entropy)).toBeGreaterThan(0.97);
    expect(result.bigramPerplexity / Math.exp(entropy)).toBeLessThan(1.03);
    expect(result.unigramPerplexity).toBeCloseTo(size, 0);
    expect(result.bigramBitsPerByte).toBeCloseTo(Math.log2(result.bigramPerplexity) * (19_999 / 40_000), 10);
    expect(result.unigramBitsPerByte).toBeCloseTo(bitsPerByte(Math.log(result.unigramPerplexity) * 19_999, 40_000), 10);
  });

  it('counts no more tokens than asked for', () => {
    const train = createArraySplit(chain(5000, 10, 1));
    const test = createArraySplit(chain(500, 10, 2));
    const some = ngramBaselines(train, test, 10, { maxTrainTokens: 1000 });
    expect(some).toEqual(ngramBaselines(createArraySplit(chain(5000, 10, 1).subarray(0, 1000)), test, 10));
    expect(some.trainTokens).toBe(1000);
    expect(some.unigramBitsPerByte).toBeNaN();
  });

  it('scores no more targets than asked for', () => {
    const train = createArraySplit(chain(5000, 10, 1));
    const tokens = chain(500, 10, 2);
    const whole = createArraySplit(tokens, { bytes: 900 });
    const some = ngramBaselines(train, whole, 10, { maxScoredTokens: 99 });
    expect(some.scoredTokens).toBe(99);
    expect(some.bigramBitsPerByte).toBeNaN(); // the bytes of a part are not known
    const part = createArraySplit(tokens.subarray(0, 100), { bytes: 180 });
    expect(ngramBaselines(train, whole, 10, { maxScoredTokens: 99, scoredBytes: 180 })).toEqual(ngramBaselines(train, part, 10));
    expect(ngramBaselines(train, whole, 10, { maxScoredTokens: 499 })).toEqual(ngramBaselines(train, whole, 10));
    expect(() => ngramBaselines(train, whole, 10, { maxScoredTokens: 0 })).toThrow('maxScoredTokens is 0');
  });

  it('names tokens of another vocabulary and splits that are too short', () => {
    const good = createArraySplit([0, 1, 2]);
    const bad = createArraySplit([0, 7], { name: 'test' });
    expect(() => ngramBaselines(good, bad, 3)).toThrow('token 1 of the test split is 7, of 3');
    expect(() => ngramBaselines(good, createArraySplit([1], { name: 'test' }), 3)).toThrow('the test split has 1 tokens');
  });
});

describe('count table', () => {
  it('counts as a Map does', () => {
    const key = fc.oneof(fc.nat(50), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
    fc.assert(
      fc.property(fc.array(key, { maxLength: 300 }), (keys) => {
        const table = createCountTable();
        const map = new Map<number, number>();
        for (const each of keys) {
          map.set(each, (map.get(each) ?? 0) + 1);
          expect(table.increment(each)).toBe(map.get(each));
        }
        const all = new Map<number, number>();
        table.forEach((each, count) => all.set(each, count));
        expect(all).toEqual(map);
        expect(table.size).toBe(map.size);
        expect(table.get(51.5)).toBe(0);
      }),
    );
  });

  it('grows', () => {
    const table = createCountTable();
    for (let i = 0; i < 20_000; i++) table.increment(i * 50_257);
    for (let i = 0; i < 20_000; i += 2) table.increment(i * 50_257);
    expect(table.size).toBe(20_000);
    expect([0, 1, 2, 19_999].map((i) => table.get(i * 50_257))).toEqual([2, 1, 2, 1]);
  });
});
