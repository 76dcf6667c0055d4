// The top-k and Switch routers: a fixed number of experts per token.
import { add, addAlongLast, log, maximum, multiply, randomUniform, takeAlongLast, topK, type Tensor } from '@xmoe/core';
import { probabilitiesOf } from './gate.js';
import { flag, integer, readOptions, type FilledOptions, type OptionsOf } from './options.js';
import { MOST_EXPERTS } from './reference/checks.js';
import { defineRouter, fixedChoices, type Router, type RouterInput } from './router.js';
import { EQUAL_WEIGHTS, SOFTMAX_OPTIONS, rankedLosses, requireChoices, weighEqually } from './softmax-routing.js';

export const SWITCH_OPTIONS = {
  /** Claims compete by rank and token only, as in the published baseline. Default false. */
  rankOnlyPriority: flag(false),
  ...SOFTMAX_OPTIONS,
};

export const TOP_K_OPTIONS = {
  /** Experts per token, 1 to N. */
  k: integer(1, MOST_EXPERTS).withinExperts(),
  /** In training with a key, ranks 2 … k are drawn by Gumbel noise on the logits; rank 1 stays the most probable. Default false. */
  noise: flag(false),
  /** With `noise`: also outside of training, where a key is given, as the published baseline does. Default false. */
  noiseInEvaluation: flag(false),
  equalWeights: EQUAL_WEIGHTS,
  ...SWITCH_OPTIONS,
};

export type SwitchRouterOptions = OptionsOf<typeof SWITCH_OPTIONS>;
export type TopKRouterOptions = OptionsOf<typeof TOP_K_OPTIONS>;

/** Far above any logit with noise: puts the most probable expert first. */
const FIRST_RANK = 1e30;

/** The k most probable experts of each token; weights are p (Eq. 2), or 1/N with `equalWeights`. @throws XMoEError when k is not a positive integer. */
export function createTopKRouter(options: TopKRouterOptions): Router {
  return createRankedRouter('topk', readOptions('topk router', TOP_K_OPTIONS, options));
}

/** The Switch router (Fedus et al. 2021): top-1 with weight p. */
export function createSwitchRouter(options: SwitchRouterOptions = {}): Router {
  return createRankedRouter('switch', { k: 1, noise: false, noiseInEvaluation: false, equalWeights: false, ...readOptions('switch router', SWITCH_OPTIONS, options) });
}

function createRankedRouter(name: string, { k, noise, noiseInEvaluation, equalWeights, rankOnlyPriority, renormalize }: FilledOptions<typeof TOP_K_OPTIONS>): Router {
  return defineRouter({
    name,
    usesGate: true,
    maxChoices: (experts) => requireChoices('k', name, k, experts),
    choose(input) {
      const p = probabilitiesOf(input.logits!, input.mask);
      const noisy = noise && k > 1 && (input.training === true || noiseInEvaluation) && input.key;
      const { values, indices } = noisy ? noisyTopK(input, p, k) : topK(p, k);
      const chosen = fixedChoices(input, indices);
      return {
        ...chosen,
        weights: weighEqually(values, chosen.expertIds, chosen.full, { equalWeights, renormalize, experts: p.shape[1]! }),
        scores: values,
        probabilities: p,
        ...rankedLosses(input, p, chosen.expertIds),
        priority: rankOnlyPriority ? 'rank' : 'rank-probability',
      };
    },
  });
}

/** The most probable expert, then the k − 1 others with the largest logit plus Gumbel noise; values are p. */
function noisyTopK({ engine, logits, key, stream = 0 }: RouterInput, p: Tensor, k: number): { values: Tensor; indices: Tensor } {
  const indices = engine.noGrad(() => {
    const [tokens, experts] = p.shape as [number, number];
    const first = addAlongLast(engine.full([tokens, 1], FIRST_RANK), topK(p, 1).indices, experts); // [T, N]
    const uniform = maximum(randomUniform(key!, p.shape, stream), 2 ** -25);
    const gumbel = multiply(log(multiply(log(uniform), -1)), -1);
    return topK(add(add(logits!, gumbel), first), k).indices;
  });
  return { values: takeAlongLast(p, indices), indices };
}
