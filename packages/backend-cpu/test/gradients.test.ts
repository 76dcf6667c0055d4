// Gradients of the fused kernels against central differences of their forward kernels, in doubles.
import { describe, expect, it } from 'vitest';
import type { Activation, Operand } from '@xmoe/core';
import { createBench, distance, dot, numericalGradient, randoms } from './support.js';

const { kernels, make, read } = createBench();

/** Compares `found` with d Σ upstream·forward(values) / d values. */
function expectGradient(
  found: Operand, values: ArrayLike<number>, upstream: ArrayLike<number>, forward: (moved: Operand) => Operand,
): void {
  const wanted = numericalGradient((moved) => dot(read(forward(make(found.shape, moved))), upstream), values);
  expect(distance(read(found), wanted)).toBeLessThan(1e-8);
}

describe('softmaxGrad', () => {
  it('matches', () => {
    const [x, upstream] = [randoms(4 * 7, 1), randoms(4 * 7, 2)];
    const forward = (moved: Operand): Operand => {
      const out = make([4, 7]);
      kernels.softmax({ x: moved }, { out });
      return out;
    };
    const dx = make([4, 7]);
    kernels.softmaxGrad({ y: forward(make([4, 7], x)), dy: make([4, 7], upstream) }, { dx });
    expectGradient(dx, x, upstream, forward);
  });
});

describe('layerNormGrad', () => {
  it('matches for x, gamma and beta', () => {
    const [x, gamma, beta, upstream] = [randoms(15, 3), randoms(5, 4), randoms(5, 5), randoms(15, 6)];
    const [mean, rstd] = [make([3]), make([3])];
    const forward = (a: Operand, b: Operand, c: Operand): Operand => {
      const out = make([3, 5]);
      kernels.layerNorm({ x: a, gamma: b, beta: c }, { out, mean, rstd }, { epsilon: 1e-2 });
      return out;
    };
    const [xs, scale, shift] = [make([3, 5], x), make([5], gamma), make([5], beta)];
    forward(xs, scale, shift);
    const [dx, dgamma, dbeta] = [make([3, 5]), make([5]), make([5])];
    kernels.layerNormGrad({ x: xs, gamma: scale, mean, rstd, dy: make([3, 5], upstream) }, { dx, dgamma, dbeta });
    expectGradient(dx, x, upstream, (moved) => forward(moved, scale, shift));
    expectGradient(dgamma, gamma, upstream, (moved) => forward(xs, moved, shift));
    expectGradient(dbeta, beta, upstream, (moved) => forward(xs, scale, moved));
  });
});

describe.each<Activation>(['none', 'relu', 'gelu-tanh', 'gelu-erf'])('biasActivationGrad of %s', (activation) => {
  it.each([[[0, 2, 2, 5]], [null]])('matches with offsets %j', (offsets) => {
    const groups = offsets === null ? 1 : offsets.length - 1;
    const [x, bias, upstream] = [randoms(6 * 4, 7).map((value) => 2 * value), randoms(groups * 4, 8), randoms(6 * 4, 9)];
    const bounds = offsets === null ? null : make([groups + 1], offsets, 'int32');
    const forward = (a: Operand, b: Operand): Operand => {
      const out = make([6, 4]);
      kernels.biasActivation({ x: a, bias: b, offsets: bounds }, { out }, { activation });
      return out;
    };
    const [xs, biases, dx, dbias] = [make([6, 4], x), make([groups, 4], bias), make([6, 4]), make([groups, 4])];
    kernels.biasActivationGrad({ x: xs, bias: biases, offsets: bounds, dy: make([6, 4], upstream) }, { dx, dbias }, { activation });
    expectGradient(dx, x, upstream, (moved) => forward(moved, biases));
    expectGradient(dbias, bias, upstream, (moved) => forward(xs, moved));
  });
});

describe('crossEntropyGrad', () => {
  it('is the gradient of the smoothed loss, assembled from two chunks', () => {
    const [R, V, cut, smoothing] = [4, 7, 3, 0.2];
    const [logits, scale] = [randoms(R * V, 10), [0.5, 1, 0, 0.25]];
    const targets = make([R], [0, 3, 5, 6], 'int32');
    const chunks = [[0, cut], [cut, V]];
    const columns = (values: ArrayLike<number>, [from, to]: number[]): Operand =>
      make([R, to - from], Array.from(values).filter((_, at) => at % V >= from && at % V < to));
    interface Statistics { peak: number[]; sum: number[]; picked: number[]; total: number[] }
    const statistics = (values: ArrayLike<number>): Statistics => {
      const [a, b] = chunks.map((chunk) => {
        const [peak, sum, picked, total] = [make([R]), make([R]), make([R]), make([R])];
        kernels.crossEntropyStats({ logits: columns(values, chunk), targets }, { peak, sum, picked, total }, { offset: chunk[0], vocabulary: V });
        return { peak: read(peak), sum: read(sum), picked: read(picked), total: read(total) };
      }) as [Statistics, Statistics];
      const peak = a.peak.map((value, row) => Math.max(value, b.peak[row]));
      const [fallA, fallB] = [a, b].map((part) => part.peak.map((value, row) => value - peak[row]));
      return {
        peak,
        sum: peak.map((_, row) => a.sum[row] * Math.exp(fallA[row]) + b.sum[row] * Math.exp(fallB[row])),
        picked: a.picked.map((value, row) => value + b.picked[row]),
        total: a.total.map((value, row) => value + cut * fallA[row] + b.total[row] + (V - cut) * fallB[row]),
      };
    };
    const loss = (values: ArrayLike<number>): number => {
      const { peak, sum, picked, total } = statistics(values);
      return sum.reduce((result, value, row) => {
        const rowLoss = Math.log(value) + (1 - smoothing) * (peak[row] - picked[row]) - (smoothing / V) * total[row];
        return result + rowLoss * scale[row];
      }, 0);
    };
    const wanted = numericalGradient(loss, logits);
    const { peak, sum } = statistics(logits);
    for (const chunk of chunks) {
      const out = make([R, chunk[1] - chunk[0]]);
      const attributes = { offset: chunk[0], labelSmoothing: smoothing, vocabulary: V };
      kernels.crossEntropyGrad(
        { logits: columns(logits, chunk), targets, peak: make([R], peak), sum: make([R], sum), scale: make([R], scale) },
        { dlogits: out }, attributes,
      );
      expect(distance(read(out), read(columns(wanted, chunk)))).toBeLessThan(1e-8);
    }
  });
});

describe('combineExpertsGrad', () => {
  it('matches for expert outputs and weights', () => {
    const [R, D, T, K] = [5, 3, 3, 2];
    const claimRow = make([T, K], [4, -1, 0, 2, -1, 3], 'int32');
    const rowClaim = make([R], [2, -1, 3, 5, 0], 'int32');
    const [rows, weights, upstream] = [randoms(R * D, 11), randoms(T * K, 12), randoms(T * D, 13)];
    const forward = (a: Operand, b: Operand): Operand => {
      const out = make([T, D]);
      kernels.combineExperts({ expertOut: a, weights: b, claimRow, rowClaim }, { out });
      return out;
    };
    const [expertOut, factors, dRows, dWeights] = [make([R, D], rows), make([T, K], weights), make([R, D]), make([T, K])];
    kernels.combineExpertsGrad({ expertOut, weights: factors, claimRow, rowClaim, dy: make([T, D], upstream) }, { dExpertOut: dRows, dWeights });
    expectGradient(dRows, rows, upstream, (moved) => forward(moved, factors));
    expectGradient(dWeights, weights, upstream, (moved) => forward(expertOut, moved));
  });
});
