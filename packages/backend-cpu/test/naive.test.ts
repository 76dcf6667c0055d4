// The kernels against the obvious formulas, written here as loops over doubles.
import { describe, expect, it } from 'vitest';
import { createBench, distance, randoms } from './support.js';

const { kernels, make, read } = createBench();

describe('matmul', () => {
  it.each([
    [1, 1, 1, 1], [2, 3, 5, 7], [1, 17, 33, 9], [3, 8, 12, 6], [1, 130, 70, 65], [1, 2, 70000, 3], [2, 4, 0, 3],
  ])('[%i, %i, %i] × [%i columns] with every transposition', (B, M, K, N) => {
    const [a, b] = [randoms(B * M * K, 1), randoms(B * K * N, 2)];
    for (const transposeA of [false, true]) {
      for (const transposeB of [false, true]) {
        for (const shared of [false, true]) {
          const expected: number[] = [];
          for (let n = 0; n < B; n++) {
            for (let i = 0; i < M; i++) {
              for (let j = 0; j < N; j++) {
                let sum = 0;
                const inB = shared ? 0 : n * K * N;
                for (let k = 0; k < K; k++) {
                  const left = a[n * M * K + (transposeA ? k * M + i : i * K + k)];
                  sum += left * b[inB + (transposeB ? j * K + k : k * N + j)];
                }
                expected.push(sum);
              }
            }
          }
          const out = make([B, M, N]);
          const [left, right] = [transposeA ? [B, K, M] : [B, M, K], transposeB ? [N, K] : [K, N]];
          const rightData = shared ? b.slice(0, K * N) : b;
          kernels.matmul({ a: make(left, a), b: make([shared ? 1 : B, ...right], rightData) }, { out }, { transposeA, transposeB });
          expect(distance(read(out), expected)).toBeLessThan(1e-10);
        }
      }
    }
  });
});

describe('groupedMatmul and groupedMatmulWeightGrad', () => {
  const [R, K, M, offsets] = [20, 7, 5, [0, 4, 4, 9, 17]];
  const groups = offsets.length - 1;
  const groupOf = (row: number): number => offsets.findIndex((end, index) => index > 0 && row < end) - 1;

  it('multiply each row by the weights of its segment', () => {
    const [x, w] = [randoms(R * K, 3), randoms(groups * K * M, 4)];
    for (const transposeW of [false, true]) {
      const expected = Array.from({ length: R * M }, (_, at) => {
        const [row, column] = [Math.floor(at / M), at % M];
        if (row >= offsets[groups]) return 0;
        let sum = 0;
        for (let k = 0; k < K; k++) {
          sum += x[row * K + k] * w[groupOf(row) * K * M + (transposeW ? column * K + k : k * M + column)];
        }
        return sum;
      });
      const out = make([R, M]);
      const weights = make(transposeW ? [groups, M, K] : [groups, K, M], w);
      kernels.groupedMatmul({ x: make([R, K], x), w: weights, offsets: make([groups + 1], offsets, 'int32') }, { out }, { transposeW });
      expect(distance(read(out), expected)).toBeLessThan(1e-13);
    }
  });

  it('sum the outer products of each segment', () => {
    const [x, dy] = [randoms(R * K, 5), randoms(R * M, 6)];
    const expected = new Float64Array(groups * K * M);
    for (let row = 0; row < offsets[groups]; row++) {
      for (let k = 0; k < K; k++) {
        for (let m = 0; m < M; m++) expected[(groupOf(row) * K + k) * M + m] += x[row * K + k] * dy[row * M + m];
      }
    }
    const out = make([groups, K, M]);
    kernels.groupedMatmulWeightGrad({ x: make([R, K], x), dy: make([R, M], dy), offsets: make([groups + 1], offsets, 'int32') }, { out });
    expect(distance(read(out), expected)).toBeLessThan(1e-13);
  });
});

describe('row kernels', () => {
  const [R, C] = [6, 9];
  const x = randoms(R * C, 7);
  const row = (index: number): number[] => Array.from(x.slice(index * C, (index + 1) * C));

  it('softmax divides exponentials by their sum', () => {
    const out = make([R, C]);
    kernels.softmax({ x: make([R, C], x) }, { out });
    const expected = Array.from({ length: R }, (_, r) => {
      const sum = row(r).reduce((total, value) => total + Math.exp(value), 0);
      return row(r).map((value) => Math.exp(value) / sum);
    }).flat();
    expect(distance(read(out), expected)).toBeLessThan(1e-15);
  });

  it('crossEntropyStats gives the largest, the target, and sums of distances from the largest', () => {
    const [peak, total, picked, distances] = [make([R]), make([R]), make([R]), make([R])];
    const targets = make([R], [3, 4, 12, 13, -1, 14], 'int32');
    kernels.crossEntropyStats({ logits: make([R, C], x), targets }, { peak, sum: total, picked, total: distances }, { offset: 4, vocabulary: 14 });
    const rows = Array.from({ length: R }, (_, r) => row(r));
    const largest = rows.map((one) => Math.max(...one));
    const sumOf = (of: (value: number) => number): number[] =>
      rows.map((one, r) => one.reduce((sum, value) => sum + of(value - largest[r]), 0));
    expect(read(peak)).toEqual(largest);
    expect(distance(read(total), sumOf(Math.exp))).toBeLessThan(1e-14);
    expect(read(picked)).toEqual([0, rows[1][0], rows[2][8], 0, 0, NaN]);
    expect(distance(read(distances), sumOf((value) => value))).toBeLessThan(1e-14);
  });

  it('layerNorm subtracts the mean and divides by the standard deviation', () => {
    const [gamma, beta] = [randoms(C, 8), randoms(C, 9)];
    const [out, mean, rstd] = [make([R, C]), make([R]), make([R])];
    kernels.layerNorm({ x: make([R, C], x), gamma: make([C], gamma), beta: make([C], beta) }, { out, mean, rstd }, { epsilon: 1e-3 });
    for (let r = 0; r < R; r++) {
      const average = row(r).reduce((sum, value) => sum + value, 0) / C;
      const variance = row(r).reduce((sum, value) => sum + (value - average) ** 2, 0) / C;
      const expected = row(r).map((value, j) => ((value - average) / Math.sqrt(variance + 1e-3)) * gamma[j] + beta[j]);
      expect(distance(read(out).slice(r * C, (r + 1) * C), expected)).toBeLessThan(1e-14);
      expect(read(mean)[r]).toBeCloseTo(average, 14);
      expect(read(rstd)[r]).toBeCloseTo((variance + 1e-3) ** -0.5, 12);
    }
  });
});

describe('adamStep', () => {
  it('is Adam with decoupled weight decay', () => {
    const [p, g, m, v] = [randoms(5, 10), randoms(5, 11), randoms(5, 12), randoms(5, 13).map(Math.abs)];
    for (const decay of [true, false]) {
      const [parameter, first, second] = [make([5], p), make([5], m), make([5], v)];
      const hyper = make([10], [0.01, 0.9, 0.99, 1e-3, 0.1, 1 - 0.9 ** 4, 1 - 0.99 ** 4, 0.5, 0.1, 0.01]);
      kernels.adamStep({ gradients: [make([5], g)], hyper }, { parameters: [parameter], m: [first], v: [second] }, { decay });
      for (let i = 0; i < 5; i++) {
        const gradient = g[i] * 0.5;
        const m1 = 0.9 * m[i] + 0.1 * gradient;
        const v1 = 0.99 * v[i] + 0.01 * gradient * gradient;
        const update = m1 / (1 - 0.9 ** 4) / (Math.sqrt(v1 / (1 - 0.99 ** 4)) + 1e-3) + (decay ? 0.1 * p[i] : 0);
        expect(read(first)[i]).toBeCloseTo(m1, 14);
        expect(read(second)[i]).toBeCloseTo(v1, 14);
        expect(read(parameter)[i]).toBeCloseTo(p[i] - 0.01 * update, 14);
      }
    }
  });

  it('does nothing when the gradient scale is 0', () => {
    const state = [make([2], [1, 2]), make([2], [3, 4]), make([2], [5, 6])] as const;
    const hyper = make([10], [0.01, 0.9, 0.99, 1e-3, 0.1, 0.1, 0.01, 0, 0.1, 0.01]);
    kernels.adamStep({ gradients: [make([2], [NaN, Infinity])], hyper }, { parameters: [state[0]], m: [state[1]], v: [state[2]] }, { decay: true });
    expect(state.map((operand) => read(operand))).toEqual([[1, 2], [3, 4], [5, 6]]);
  });
});
