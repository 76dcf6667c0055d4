// Softmax, layer normalisation and cross-entropy: what goes along rows, in as few operations as TensorFlow has for it.
import { type FusedKernels } from '@xmoe/core';
import { LOWEST_FLOAT32 } from '@xmoe/core/backend';
import type { Pieces } from './elementwise.js';
import type { Id, Ops } from './ops.js';

type Rows = 'softmax' | 'softmaxGrad' | 'crossEntropyStats' | 'crossEntropyGrad' | 'layerNorm' | 'layerNormGrad';

export function rowKernels(ops: Ops, pieces: Pieces): Pick<FusedKernels, Rows> {
  const { run, id, put, scalar, reshape } = ops;
  const { reduce, add, subtract, multiply, square, rsqrt, select } = pieces;
  return {
    softmax({ x }, { out }) {
      const empty = run('Equal', { T: 'float32' }, reduce('Max', id(x), 1, true), scalar(-Infinity));
      put(out, select(empty, scalar(0), run('Softmax', { T: 'float32' }, id(x))));
    },
    softmaxGrad({ y, dy }, { dx }) {
      const inner = reduce('Sum', multiply(id(y), id(dy)), 1, true);
      put(dx, multiply(id(y), subtract(id(dy), inner)));
    },
    ...crossEntropy(ops, pieces),
    layerNorm({ x, gamma, beta }, { out, mean, rstd }, { epsilon }) {
      const [R] = x.shape as [number, number];
      const first = reduce('Mean', id(x), 1, true);
      const rough = subtract(id(x), first);
      // Far from 0 the mean is rounded by much of a deviation: what is left of it is taken out too.
      const rest = reduce('Mean', rough, 1, true);
      const centred = subtract(rough, rest);
      const scale = rsqrt(add(reduce('Mean', square(centred), 1, true), scalar(epsilon)));
      put(out, add(multiply(multiply(centred, scale), id(gamma)), id(beta)));
      put(mean, reshape(add(first, rest), [R]));
      put(rstd, reshape(scale, [R]));
    },
    layerNormGrad({ x, gamma, mean, rstd, dy }, { dx, dgamma, dbeta }) {
      const [R] = x.shape as [number, number];
      const scale = reshape(id(rstd), [R, 1]);
      const rough = subtract(id(x), reshape(id(mean), [R, 1]));
      const normal = multiply(subtract(rough, reduce('Mean', rough, 1, true)), scale);
      put(dgamma, reduce('Sum', multiply(id(dy), normal), 0, false));
      put(dbeta, reduce('Sum', id(dy), 0, false));
      // dx = rstd · (g − mean(g) − n · mean(g·n)), g = dy·gamma, n the normalised row.
      const g = multiply(id(dy), id(gamma));
      const inner = reduce('Mean', multiply(g, normal), 1, true);
      const rest = subtract(subtract(g, reduce('Mean', g, 1, true)), multiply(normal, inner));
      put(dx, multiply(rest, scale));
    },
  };
}

function crossEntropy(ops: Ops, pieces: Pieces): Pick<FusedKernels, 'crossEntropyStats' | 'crossEntropyGrad'> {
  const { run, id, put, scalar, reshape, upload } = ops;
  const { reduce, add, subtract, multiply, divide, maximum, exp, multiplyNoNan, select, take, bounded } = pieces;
  /** Ids relative to the chunk as [R, 1]. */
  const local = (targets: Id, offset: number, R: number): Id => reshape(offset === 0 ? targets : run('Sub', { T: 'int32' }, targets, scalar(offset, 'int32')), [R, 1]);
  const isWord = (targets: Id, vocabulary: number): Id => run('Less', { T: 'int32' }, targets, scalar(vocabulary, 'int32'));
  return {
    crossEntropyStats({ logits, targets }, { peak, sum, picked, total }, { offset, vocabulary }) {
      const [R, C] = logits.shape as [number, number];
      const top = maximum(reduce('Max', id(logits), 1, true), scalar(LOWEST_FLOAT32));
      const shifted = subtract(id(logits), top);
      const mass = reduce('Sum', exp(shifted), 1, false);
      const spoiled = multiply(mass, scalar(0)); // NaN in one is NaN in all
      put(peak, add(reshape(top, [R]), spoiled));
      if (total) put(total, add(reduce('Sum', shifted, 1, false), spoiled));
      put(sum, mass);
      const found = reshape(take(id(logits), local(id(targets), offset, R), C), [R]);
      put(picked, select(isWord(id(targets), vocabulary), found, scalar(NaN)));
    },
    crossEntropyGrad({ logits, targets, peak, sum, scale }, { dlogits }, { offset, labelSmoothing, vocabulary }) {
      const [R, C] = logits.shape as [number, number];
      const column = (x: Id): Id => reshape(x, [R, 1]);
      const ids = id(targets);
      // No target: a factor of 0, which makes zeros of anything. No word, or no sum: NaN.
      const isNone = run('Less', { T: 'int32' }, ids, scalar(0, 'int32'));
      const some = select(run('Equal', { T: 'float32' }, id(sum), scalar(0)), scalar(NaN), divide(id(scale), id(sum)));
      const factor = select(isNone, scalar(0), select(isWord(ids, vocabulary), some, scalar(NaN)));
      let slope = multiplyNoNan(exp(subtract(id(logits), column(id(peak)))), column(factor));
      const weight = select(isNone, scalar(0), id(scale));
      if (labelSmoothing > 0) slope = subtract(slope, column(multiply(weight, scalar(labelSmoothing / vocabulary))));
      const { safe, inside } = bounded(local(ids, offset, R), C);
      const taken = select(reshape(inside, [R]), multiply(weight, scalar(1 - labelSmoothing)), scalar(0));
      const numbers = upload(Int32Array.from({ length: R }, (_, row) => row), [R, 1]);
      const places = run('ConcatV2', { 'int:N': 2, T: 'int32', Tidx: 'int32' }, numbers, safe, scalar(1, 'int32'));
      put(dlogits, run('TensorScatterSub', { T: 'float32', Tindices: 'int32' }, slope, places, taken));
    },
  };
}

/** Softmax of the last axis, and what the contract calls the statistics of attention: the peak, and 1 / Σ exp(score − peak). */
export function softmaxWithStatistics(ops: Ops, { reduce }: Pieces, scores: Id): { probabilities: Id; stats: Id } {
  const probabilities = ops.run('Softmax', { T: 'float32' }, scores);
  // The largest probability is exp(0) / Σ.
  const parts = [reduce('Max', scores, 2, true), reduce('Max', probabilities, 2, true)] as const;
  const stats = ops.run('ConcatV2', { 'int:N': 2, T: 'float32', Tidx: 'int32' }, ...parts, ops.scalar(2, 'int32'));
  return { probabilities, stats };
}
