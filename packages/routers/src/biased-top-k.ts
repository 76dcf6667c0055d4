// Top-k of scores with a bias for each expert that balances the load without a loss: by quantiles (Su, kexue.fm/archives/11619), or by
// the sign of what is missing (arXiv 2408.15664, DeepSeek-V3). What the biases move by is quantile-histogram.ts.
import { add, bincount, cast, mean, multiply, reshape, sign, slice, subtract, takeAlongLast, topK, type Tensor } from '@xmoe/core';
import { integer, readOptions, real, type FilledOptions, type OptionsOf } from './options.js';
import { biasHistogram, HISTOGRAM_BINS, quantileBias } from './quantile-histogram.js';
import { MOST_EXPERTS } from './reference/checks.js';
import { defineRouter, fixedChoices, type Router, type RouterInput } from './router.js';
import { stateOf, type RouterState, type StateTensors } from './router-state.js';
import { lossesOf, SCORE_OPTIONS, scoresOf } from './scores.js';
import { requireChoices, weigh } from './softmax-routing.js';

const BIASED_OPTIONS = {
  /** Experts per token, 1 to N. */
  k: integer(1, MOST_EXPERTS).withinExperts(),
  ...SCORE_OPTIONS,
};

export const QUANTILE_OPTIONS = BIASED_OPTIONS;

export const SIGN_BIAS_OPTIONS = {
  ...BIASED_OPTIONS,
  /** By how much a bias moves in an update. Default 0.001. */
  rate: real(0, 1).or(0.001),
};

export type QuantileRouterOptions = OptionsOf<typeof QUANTILE_OPTIONS>;
export type SignBiasRouterOptions = OptionsOf<typeof SIGN_BIAS_OPTIONS>;
type Settings = FilledOptions<typeof BIASED_OPTIONS>;

/**
 * Quantile balancing: the k experts of the largest score + bias; weights are scores. After each update every bias is set to what would
 * have given its expert its share k / N of the update's tokens: the k/N quantile of (k+1)-th largest score + bias − own score, over real
 * tokens, from a histogram of whole numbers; then their mean is subtracted. State: `bias` float32 [N], 0 at first. No balance loss.
 * @throws XMoEError when k is not a positive integer; when routing, for k above N, or without its state.
 */
export function createQuantileRouter(options: QuantileRouterOptions): Router {
  const settings = readOptions('quantile router', QUANTILE_OPTIONS, options);
  const { k } = settings;
  const next = ({ bias }: StateTensors, { histogram }: StateTensors): Record<string, Tensor> => ({ bias: quantileBias(bias!, histogram!, k) });
  // One more than is taken: what a score must pass.
  return biasedTopK('quantile', settings, next, ({ input, scores, bias, ranked }) => (
    k < input.experts ? { histogram: biasHistogram(input, scores, bias, slice(ranked, [0, k], [input.tokens, 1])) }
      : { histogram: input.engine.zeros([input.experts, HISTOGRAM_BINS], 'int32') }
  ));
}

/**
 * The k experts of the largest score + bias; weights are scores. After each update bias += rate · sign(mean load − load). State: `bias`
 * float32 [N], 0 at first. No balance loss.
 * @throws XMoEError as {@link createQuantileRouter}
 */
export function createSignBiasRouter(options: SignBiasRouterOptions): Router {
  const settings = readOptions('sign-bias router', SIGN_BIAS_OPTIONS, options);
  const next = ({ bias }: StateTensors, { load }: StateTensors): Record<string, Tensor> => {
    const claims = cast(load!, 'float32');
    return { bias: add(bias!, multiply(sign(subtract(mean(claims), claims)), settings.rate)) };
  };
  return biasedTopK('sign-bias', settings, next, ({ input, expertIds }) => ({ load: bincount(expertIds, input.experts) }));
}

/** What statistics are made of. */
interface Chosen {
  readonly input: RouterInput;
  readonly scores: Tensor;
  readonly bias: Tensor;
  /** The k + 1 largest scores with bias, where there are so many. */
  readonly ranked: Tensor;
  readonly expertIds: Tensor;
}

function biasedTopK(name: string, { k, scores: kind, renormalize }: Settings, next: RouterState['next'], observe: (chosen: Chosen) => StateTensors): Router {
  return defineRouter({
    name,
    usesGate: true,
    maxChoices: (experts) => requireChoices('k', name, k, experts),
    state: { shared: false, tensors: (experts) => ({ bias: { shape: [experts], initial: 0 } }), next },
    choose(input) {
      const { engine, tokens, experts, training = false } = input;
      const bias = stateOf(name, input, ['bias']).bias!;
      const { scores, probabilities } = scoresOf(input, kind);
      const { chosen, statistics } = engine.noGrad(() => {
        const ranked = topK(add(scores, reshape(bias, [1, experts])), Math.min(experts, training ? k + 1 : k));
        const own = fixedChoices(input, slice(ranked.indices, [0, 0], [tokens, k]));
        return { chosen: own, statistics: training ? observe({ input, scores, bias, ranked: ranked.values, expertIds: own.expertIds }) : null };
      });
      const weights = takeAlongLast(scores, chosen.expertIds);
      return {
        ...chosen,
        weights: weigh(weights, chosen.expertIds, chosen.full, renormalize),
        scores: weights,
        probabilities,
        ...lossesOf(input),
        priority: 'rank-probability',
        statistics,
      };
    },
  });
}
