// The threshold router (Algorithm 1, Eq. 5): every token takes as many experts as it needs to reach mass t.
import { requireFinite, requireOptions, thresholdSelect } from '@xmoe/core';
import { probabilitiesOf } from './gate.js';
import { integer, readOptions, real, type OptionsOf } from './options.js';
import { MOST_EXPERTS } from './reference/checks.js';
import { defineRouter, type Router } from './router.js';
import { EQUAL_WEIGHTS, SOFTMAX_OPTIONS, rankedLosses, weighEqually } from './softmax-routing.js';

export const BESIDE_THRESHOLD = {
  /** Upper bound on the experts of one token, for smaller tensors. Default: N. */
  maxExpertsPerToken: integer(1, MOST_EXPERTS).optional(),
  ...SOFTMAX_OPTIONS,
};

export const THRESHOLD_OPTIONS = {
  /** t, a share of probability. At or below 0: the top expert only. At or above 1: all N experts, exactly. */
  threshold: real(0, 1),
  equalWeights: EQUAL_WEIGHTS,
  ...BESIDE_THRESHOLD,
};

export type ThresholdRouterOptions = OptionsOf<typeof THRESHOLD_OPTIONS>;

/**
 * Routes to the fewest experts whose probabilities reach t, the one that crosses it included; weights are p, or 1/N with `equalWeights`. K = N, or
 * `maxExpertsPerToken`. N equal probabilities and t = j / N give exactly j experts. Any finite t is good here (Section 4); that of a
 * configuration is from 0 to 1.
 * @throws XMoEError when t is not finite or the bound is not a positive integer.
 */
export function createThresholdRouter(options: ThresholdRouterOptions): Router {
  requireOptions('threshold router', options);
  const threshold = requireFinite('threshold router', 'threshold', options.threshold, 'pass t as a number, for example 0.9');
  const { maxExpertsPerToken = Infinity, renormalize, equalWeights } = readOptions('threshold router', { ...BESIDE_THRESHOLD, equalWeights: EQUAL_WEIGHTS }, options);
  return defineRouter({
    name: 'threshold',
    usesGate: true,
    maxChoices: (experts) => Math.min(experts, maxExpertsPerToken),
    choose(input, choices) {
      const { logits, mask = null } = input;
      const p = probabilitiesOf(logits!, mask);
      const { values, indices: expertIds, counts } = thresholdSelect(p, threshold, { choices, mask });
      const full = threshold >= 1 && !mask;
      return {
        expertIds,
        counts,
        full,
        weights: weighEqually(values, expertIds, full, { equalWeights, renormalize, experts: p.shape[1]! }),
        scores: values,
        probabilities: p,
        ...rankedLosses(input, p, expertIds),
        priority: 'rank-probability',
      };
    },
  });
}
