// Top-k of scores with a bias for each expert that balances the load without a loss: by quantiles (Su, kexue.fm/archives/11619), or by
// the sign of what is missing (arXiv 2408.15664, DeepSeek-V3). What the biases move by is quantile-histogram.ts.
import { add, bincount, cast, mean, multiply, reshape, select, sign, slice, subtract, takeAlongLast, topK, type Tensor } from '@xmoe/core';
import { integer, readOptions, real, type FilledOptions, type OptionsOf } from './options.js';
import { biasHistogram, HISTOGRAM_BINS, quantileBias } from './quantile-histogram.js';
import { MOST_EXPERTS } from './reference/checks.js';
import { defineRouter, fixedChoices, type Router, type RouterInput } from './router.js';
import { keptShare, stateOf, type RouterState, type StateTensors } from './router-state.js';
import { lossesOf, SCORE_OPTIONS, scoresOf } from './scores.js';
import { requireChoices, weigh } from './softmax-routing.js';

const BIASED_OPTIONS = {
  /** Experts per token, 1 to N. */
  k: integer(1, MOST_EXPERTS).withinExperts(),
  ...SCORE_OPTIONS,
};

export const QUANTILE_OPTIONS = {
  ...BIASED_OPTIONS,
  /** How much of the biases stays in an update, once they have seen some; 0 as published. Default 0.5. */
  decay: real(0, 1).or(0.5),
};

export const SIGN_BIAS_OPTIONS = {
  ...BIASED_OPTIONS,
  /** By how much a bias moves in an update. Default 0.001. */
  rate: real(0, 1).or(0.001),
};

export type QuantileRouterOptions = OptionsOf<typeof QUANTILE_OPTIONS>;
export type SignBiasRouterOptions = OptionsOf<typeof SIGN_BIAS_OPTIONS>;
type Settings = FilledOptions<typeof BIASED_OPTIONS>;
type Rule = Pick<RouterState, 'tensors' | 'next'>;

/**
 * Quantile balancing: the k experts of the largest score + bias; weights are scores. After each update every bias is set to what would
 * have given its expert its share k / N of the update's tokens: the k/N quantile of (k+1)-th largest score + bias − own score, over real
 * tokens, from a histogram of whole numbers; then their mean is subtracted. With `decay` they are moving averages of these: b ← d·b + (1 − d)·found, d =
 * min(decay, (1 + n) / (10 + n)) after n updates, and what was found the first time. State: `bias` float32 [N], 0 at first, and with `decay` `updates` [1]. No balance loss.
 * @throws XMoEError when k is not a positive integer; when routing, for k above N, or without its state.
 */
export function createQuantileRouter(options: QuantileRouterOptions): Router {
  const settings = readOptions('quantile router', QUANTILE_OPTIONS, options);
  const { k, decay } = settings;
  const rule: Rule = {
    tensors: (experts) => ({ bias: { shape: [experts], initial: 0 }, ...(decay > 0 ? { updates: { shape: [1], initial: 0 } } : {}) }),
    next({ bias, updates }, { histogram }): Record<string, Tensor> {
      const { bias: found, seen } = quantileBias(bias!, histogram!, k);
      if (!updates) return { bias: select(seen, found, bias!) };
      const kept = keptShare(updates, decay);
      const averaged = add(multiply(bias!, kept), multiply(found, subtract(1, kept)));
      return { bias: select(seen, averaged, bias!), updates: add(updates, cast(slice(seen, [0], [1]), 'float32')) };
    },
  };
  // One more than is taken: what a score must pass.
  return biasedTopK('quantile', settings, rule, ({ input, scores, bias, ranked }) => (
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
  const rule: Rule = {
    tensors: (experts) => ({ bias: { shape: [experts], initial: 0 } }),
    next({ bias }, { load }) {
      const claims = cast(load!, 'float32');
      return { bias: add(bias!, multiply(sign(subtract(mean(claims), claims)), settings.rate)) };
    },
  };
  return biasedTopK('sign-bias', settings, rule, ({ input, expertIds }) => ({ load: bincount(expertIds, input.experts) }));
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

function biasedTopK(name: string, { k, scores: kind, renormalize }: Settings, rule: Rule, observe: (chosen: Chosen) => StateTensors): Router {
  return defineRouter({
    name,
    usesGate: true,
    maxChoices: (experts) => requireChoices('k', name, k, experts),
    state: { shared: false, ...rule },
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
