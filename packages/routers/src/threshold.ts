// The threshold router (Algorithm 1, Eq. 5): every token takes as many experts as it needs to reach mass t.
import { requireFinite, requireInteger, requireOptions, thresholdSelect } from '@xmoe/core';
import { probabilitiesOf } from './gate.js';
import { defineRouter, type Router } from './router.js';
import { rankedLosses, weigh, type SoftmaxRouterOptions } from './softmax-routing.js';

export interface ThresholdRouterOptions extends SoftmaxRouterOptions {
  /** t. At or below 0: the top expert only. At or above 1: all N experts, exactly. */
  readonly threshold: number;
  /** Upper bound on the experts of one token, for smaller tensors. Default: N. */
  readonly maxExpertsPerToken?: number;
}

/**
 * Routes to the fewest experts whose probabilities reach t, the one that crosses it included; weights are p. K = N, or
 * `maxExpertsPerToken`. N equal probabilities and t = j / N give exactly j experts.
 * @throws XMoEError when t is not finite or the bound is not a positive integer.
 */
export function createThresholdRouter(options: ThresholdRouterOptions): Router {
  requireOptions('threshold router', options);
  const threshold = requireFinite('threshold router', 'threshold', options.threshold, 'pass t as a number, for example 0.9');
  const bound = options.maxExpertsPerToken === undefined ? Infinity : requireInteger('threshold router', 'maxExpertsPerToken', options.maxExpertsPerToken, 1);
  return defineRouter({
    name: 'threshold',
    usesGate: true,
    maxChoices: (experts) => Math.min(experts, bound),
    choose(input, choices) {
      const { logits, mask = null } = input;
      const p = probabilitiesOf(logits!, mask);
      const { values, indices: expertIds, counts } = thresholdSelect(p, threshold, { choices, mask });
      const full = threshold >= 1 && !mask;
      return {
        expertIds,
        counts,
        full,
        weights: weigh(values, expertIds, full, options),
        scores: values,
        probabilities: p,
        ...rankedLosses(input, p, expertIds),
        priority: 'rank-probability',
      };
    },
  });
}
