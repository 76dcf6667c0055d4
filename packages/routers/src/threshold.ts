// The threshold router (Algorithm 1, Eq. 5): every token takes as many experts as it needs to reach mass t.
import { cast, less, minimum, multiply, select, slice, thresholdSelect, type Tensor } from '@xmoe/core';
import { requireFinite, requireInteger } from './reference/checks.js';
import { THRESHOLD_TOLERANCE } from './reference/threshold.js';
import { gateProbabilities } from './gate.js';
import { asColumn, defineRouter, type Router, type RouterInput, type Routing } from './router.js';
import { rankedLosses, weigh, type SoftmaxRouterOptions } from './softmax-routing.js';

export interface ThresholdRouterOptions extends SoftmaxRouterOptions {
  /** t. At or below 0: the top expert only. At or above 1: all N experts, exactly. */
  readonly threshold: number;
  /** Upper bound on the experts of one token, for smaller tensors. Default: N. */
  readonly maxExpertsPerToken?: number;
}

/**
 * Routes to the fewest experts whose probabilities reach t, the one that crosses it included; weights are p. K = N, or
 * `maxExpertsPerToken`. A running sum within 1e-6 of t has reached it.
 * @throws XMoEError when t is not finite or the bound is not a positive integer.
 */
export function createThresholdRouter(options: ThresholdRouterOptions): Router {
  const threshold = requireFinite('threshold', options.threshold, 'threshold router', 'pass t as a number, for example 0.9');
  const bound = options.maxExpertsPerToken === undefined ? Infinity : requireInteger('maxExpertsPerToken', options.maxExpertsPerToken, 1, Infinity, 'threshold router');
  return defineRouter({
    name: 'threshold',
    usesGate: true,
    maxChoices: (experts) => Math.min(experts, bound),
    choose(input, choices) {
      const p = gateProbabilities(input.logits!, input.mask);
      const { values, indices, counts } = thresholdSelect(p, threshold >= 1 ? threshold : threshold - THRESHOLD_TOLERANCE);
      const bounded = choices < input.experts;
      const keep = (sorted: Tensor): Tensor => (bounded ? slice(sorted, [0, 0], [input.tokens, choices]) : sorted); // [T, K]
      const weights = keep(values);
      const full = threshold >= 1 && !input.mask;
      const chosen = cutAfter(input, keep(indices), bounded ? minimum(counts, choices) : counts, full);
      return {
        ...chosen,
        weights: weigh(weights, chosen.expertIds, full, options),
        scores: weights,
        probabilities: p,
        ...rankedLosses(input, p, chosen.expertIds),
        priority: 'rank-probability',
      };
    },
  });
}

/** Puts −1 after each token's count, and makes the counts of padding 0. */
function cutAfter({ engine, mask }: RouterInput, ids: Tensor, wanted: Tensor, full: boolean): Pick<Routing, 'expertIds' | 'counts' | 'full'> {
  if (full) return { expertIds: ids, counts: wanted, full };
  const counts = mask ? multiply(wanted, cast(engine.alias(mask, wanted.shape), 'int32')) : wanted;
  const chosen = less(engine.iota(ids.shape[1]!), asColumn(counts)); // [T, K]
  return { expertIds: select(chosen, ids, -1), counts, full };
}
