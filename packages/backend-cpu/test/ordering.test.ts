// sortByKey, topK and thresholdSelect against Array.sort and the paper's loop, as properties.
import { describe, expect, it } from 'vitest';
import { hostUniform, randomKey } from '@xmoe/core';
import { createBench } from './support.js';

const single = createBench('float32');
const double = createBench('float64');

/** Indices of `keys` in stable order; NaN last. */
function argsort(keys: readonly number[], descending: boolean): number[] {
  return keys
    .map((key, index) => ({ key, index }))
    .sort((a, b) => {
      if (Number.isNaN(a.key) || Number.isNaN(b.key)) return Number(Number.isNaN(a.key)) - Number(Number.isNaN(b.key)) || a.index - b.index;
      return (descending ? b.key - a.key : a.key - b.key) || a.index - b.index;
    })
    .map(({ index }) => index);
}

/** Keys with ties, both zeros and NaN. */
function awkwardKeys(length: number, seed: number): number[] {
  const special = [0, -0, NaN, 1, -1, 2 ** -130, -(2 ** -130)];
  return Array.from(hostUniform(randomKey(seed), length), (value) =>
    value < 0.3 ? special[Math.floor(value * 1000) % special.length] : Math.fround(Math.floor(value * 20) - 13.5),
  );
}

describe.each([['float32', single], ['float64', double]] as const)('in %s', (_, { kernels, make, read }) => {
  it.each([0, 1, 2, 7, 8, 9, 100, 1000])('sortByKey orders %i keys stably', (n) => {
    for (let seed = 0; seed < 5; seed++) {
      const keys = awkwardKeys(n, seed);
      const out = make([n], undefined, 'int32');
      kernels.sortByKey({ keys: make([n], keys) }, { permutation: out });
      expect(read(out)).toEqual(argsort(keys, false));
    }
  });

  it.each([1, 2, 5, 16, 17, 40])('topK takes the %i largest, ties by lowest index, NaN last', (k) => {
    for (let seed = 0; seed < 10; seed++) {
      const keys = awkwardKeys(40, seed);
      const [values, indices] = [make([1, k]), make([1, k], undefined, 'int32')];
      kernels.topK({ x: make([1, 40], keys) }, { values, indices });
      const wanted = argsort(keys, true).slice(0, k);
      expect(read(indices)).toEqual(wanted);
      expect(read(values).map((value) => value + 0)).toEqual(wanted.map((index) => keys[index] + 0));
    }
  });
});

describe('thresholdSelect', () => {
  const { kernels, make, read } = double;

  /** Algorithm 1 of the paper, for one token. */
  function naiveCount(p: readonly number[], threshold: number): number {
    if (threshold >= 1) return p.length;
    let sum = 0;
    let count = 0;
    for (const index of argsort(p, true)) {
      sum += p[index];
      count++;
      if (sum >= threshold) break;
    }
    return count;
  }

  it.each([-1, 0, 0.3, 0.5, 0.9, 0.99, 1, 2])('counts the fewest experts that reach %d', (threshold) => {
    const [T, N] = [20, 11];
    const raw = hostUniform(randomKey(5), T * N).map((value) => Math.exp(6 * value));
    const p = Array.from({ length: T }, (_, t) => {
      const row = Array.from(raw.slice(t * N, (t + 1) * N));
      const sum = row.reduce((total, value) => total + value, 0);
      return row.map((value) => value / sum);
    });
    const [values, indices, counts] = [make([T, N]), make([T, N], undefined, 'int32'), make([T], undefined, 'int32')];
    kernels.thresholdSelect({ p: make([T, N], p.flat()), mask: null, threshold: null }, { values, indices, counts }, { threshold });
    expect(read(counts)).toEqual(p.map((row) => naiveCount(row, threshold)));
    const taken = (row: readonly number[]): number[] => argsort(row, true).map((index, rank) => (rank < naiveCount(row, threshold) ? index : -1));
    expect(read(indices)).toEqual(p.flatMap(taken));
    expect(read(values)).toEqual(p.flatMap((row) => taken(row).map((index) => row[index] ?? 0)));
  });
});
