// The threshold router (Algorithm 1, Eq. 5): every token takes as many experts as it needs to reach mass t.
import { requireFinite, requireFlag, requireInteger, requireOptions } from '@xmoe/core';
import { countToReach, massToReach } from '@xmoe/core/backend';
import { type GateOptions, rankExperts, softmaxGate } from './gate.js';
import type { Logits } from './logits.js';
import { type Routing, buildRouting, rowOf, softmaxSource } from './routing.js';

export interface ThresholdOptions extends GateOptions {
  /** t. At or below 0: the top expert only. At or above 1: all N experts, exactly. */
  readonly threshold: number;
  /** Upper bound on the experts of one token. Default: N. */
  readonly maxExpertsPerToken?: number;
  /** Divide the weights of a token by their sum. Default false (Eq. 2). */
  readonly renormalize?: boolean;
  /** Each chosen expert has the weight 1/N. Default false (Eq. 2). */
  readonly equalWeights?: boolean;
}

/**
 * The smallest m whose first m sorted probabilities sum to `threshold`; the expert that crosses it is included. Sums are of the units of
 * core, as on every backend: N equal probabilities and t = j / N give j.
 */
export function countToThreshold(sorted: ArrayLike<number>, threshold: number): number {
  return countToReach(sorted, 0, sorted.length, massToReach(threshold, sorted.length)); // all from t = 1 on
}

/**
 * Routes by threshold. `logits` [T, N] → {@link Routing} with K = N, or `maxExpertsPerToken`; weights are p, or 1/N with `equalWeights`.
 * @throws XMoEError when `threshold` is not a finite number, or on other bad options, logits or mask.
 */
export function routeThreshold(logits: Logits, options: ThresholdOptions): Routing {
  requireOptions('route', options);
  const threshold = requireFinite('route', 'threshold', options.threshold, 'pass t as a number, for example 0.9');
  const gate = softmaxGate(logits, options);
  const { experts: N, probabilities } = gate;
  const K = Math.min(N, requireInteger('route', 'maxExpertsPerToken', options.maxExpertsPerToken ?? N, 1));
  const renormalize = requireFlag('route', 'renormalize', options.renormalize ?? false);
  const equalWeights = requireFlag('route', 'equalWeights', options.equalWeights ?? false);
  return buildRouting(gate, {
    maxChoices: K,
    weightSource: softmaxSource({ renormalize, equalWeights }),
    choose: (token) => {
      const row = rowOf(probabilities, token, N);
      const ranked = rankExperts(row);
      return ranked.slice(0, Math.min(K, countToThreshold(ranked.map((expert) => row[expert]), threshold)));
    },
    weight: (token, expert) => probabilities[token * N + expert],
  });
}
