// Attention and its gradient without a mask of keys; with one, and where queries may see nothing, core's fallback runs.
// Scores are materialised: TensorFlow has no operation that does without.
import { sizeOf, type AttentionOptions, type FusedKernels, type KernelInputs } from '@xmoe/core';
import { keptMask } from './dropout.js';
import type { Pieces } from './elementwise.js';
import type { Id, Ops } from './ops.js';
import { softmaxWithStatistics } from './rows.js';

type Attention = Pick<FusedKernels, 'attention' | 'attentionGrad'>;

/** Causal masks are kept by size; a text that grows has many. */
const MOST_MASKS = 16;

function createMasks(ops: Ops) {
  const masks = new Map<string, Id>();
  const dispose = (): void => {
    for (const mask of masks.values()) ops.free(mask);
    masks.clear();
  };
  /** 0 where query i sees key j, −∞ elsewhere: [Tq, Tk]. */
  const causalMask = (queries: number, keys: number): Id => {
    const key = `${queries} ${keys}`;
    const known = masks.get(key);
    if (known !== undefined) return known;
    if (masks.size === MOST_MASKS) dispose();
    const values = Float32Array.from({ length: queries * keys }, (_, at) => (at % keys <= Math.floor(at / keys) + keys - queries ? 0 : -Infinity));
    const mask = ops.keep(ops.upload(values, [queries, keys]));
    masks.set(key, mask);
    return mask;
  };
  return { causalMask, dispose };
}

/** `others` takes the calls that are not covered here. */
export function attentionKernels(ops: Ops, pieces: Pieces, others: () => Attention): Attention & { dispose(): void } {
  const { run, id, put, scalar, factor } = ops;
  const { reduce, add, subtract, multiply, multiplyNoNan, matmul } = pieces;
  const { causalMask, dispose } = createMasks(ops);
  const isPlain = ({ q, k, keyMask }: KernelInputs<'attention'>, { causal }: AttentionOptions): boolean => {
    const [, queries] = q.shape as [number, number];
    const [, keys] = k.shape as [number, number];
    return !keyMask && sizeOf(q.shape) > 0 && keys > 0 && (!causal || keys >= queries);
  };
  const scoresOf = ({ q, k }: KernelInputs<'attention'>, { causal, scale }: AttentionOptions): Id => {
    // Times a power of two the queries keep their digits, and are fewer than the scores.
    const isExact = Number.isInteger(Math.log2(scale));
    const left = isExact ? multiply(id(q), scalar(scale)) : id(q);
    const products = matmul(factor(left), factor(id(k)), false, true);
    const scores = isExact ? products : multiply(products, scalar(scale));
    return causal && q.shape[1] !== 1 ? add(scores, causalMask(q.shape[1]!, k.shape[1]!)) : scores;
  };
  const dropped = (x: Id, kept: Id | null): Id => (kept === null ? x : multiplyNoNan(x, kept));
  const keptOf = ({ q, k, key }: KernelInputs<'attention'>, { dropoutRate, stream }: AttentionOptions): Id | null => (
    key && dropoutRate > 0 ? keptMask(ops, key, [q.shape[0]!, q.shape[1]!, k.shape[1]!], dropoutRate, stream) : null
  );
  return {
    dispose,
    attention(inputs, outputs, options) {
      if (!isPlain(inputs, options)) return others().attention(inputs, outputs, options);
      ops.step(() => {
        const { probabilities, stats } = softmaxWithStatistics(ops, pieces, scoresOf(inputs, options));
        put(outputs.out, matmul(factor(dropped(probabilities, keptOf(inputs, options))), factor(id(inputs.v)), false, false));
        put(outputs.stats, stats);
      });
    },
    attentionGrad(inputs, outputs, options) {
      if (!isPlain(inputs, options)) return others().attentionGrad(inputs, outputs, options);
      const { q, k, v, dout } = inputs;
      ops.step(() => {
        const probabilities = run('Softmax', { T: 'float32' }, scoresOf(inputs, options));
        const kept = keptOf(inputs, options);
        const upstream = factor(id(dout));
        put(outputs.dv, matmul(factor(dropped(probabilities, kept)), upstream, true, false));
        const slopes = dropped(matmul(upstream, factor(id(v)), false, true), kept);
        // Not the sum of dout·out, which is the same: of large scores the rounding matters.
        const inner = reduce('Sum', multiply(probabilities, slopes), 2, true);
        const dScores = factor(multiply(probabilities, subtract(slopes, inner)));
        put(outputs.dq, multiply(matmul(dScores, factor(id(k)), false, false), scalar(options.scale)));
        put(outputs.dk, multiply(matmul(dScores, factor(id(q)), true, false), scalar(options.scale)));
      });
    },
  };
}
