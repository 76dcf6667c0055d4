// The threshold router (Algorithm 1, Eq. 5): every token takes as many experts as it needs to reach mass t.
import { requireFinite } from './checks.js';
import { type GateOptions, rankExperts, softmaxGate } from './gate.js';
import type { Logits } from './logits.js';
import { type Routing, buildRouting, rowOf } from './routing.js';

/**
 * A cumulative probability this close below t counts as having reached it. Sums of float32 probabilities that are t on
 * paper (t·N equal ones, say) fall on either side of t by rounding; with the boundary moved by several units in the
 * last place they all count, on every backend.
 */
export const THRESHOLD_TOLERANCE = 1e-6;

export interface ThresholdOptions extends GateOptions {
  /** t. At or below 0: the top expert only. At or above 1: all N experts, exactly. */
  readonly threshold: number;
}

/** The smallest m whose first m sorted probabilities sum to `threshold`; the expert that crosses it is included. */
export function countToThreshold(sorted: ArrayLike<number>, threshold: number): number {
  if (threshold >= 1) return sorted.length; // not left to a sum that may reach 1 early
  let cumulative = 0;
  for (let m = 1; m <= sorted.length; m++) {
    cumulative += sorted[m - 1];
    if (cumulative >= threshold - THRESHOLD_TOLERANCE) return m;
  }
  return sorted.length;
}

/**
 * Routes by threshold. `logits` [T, N] → {@link Routing} with K = N; weights are p.
 * @throws XMoEError when `threshold` is not a finite number, or on bad logits or mask.
 */
export function routeThreshold(logits: Logits, options: ThresholdOptions): Routing {
  const threshold = requireFinite('threshold', options.threshold, 'route', 'pass t as a number, for example 0.9');
  const gate = softmaxGate(logits, options);
  const { experts: N, probabilities } = gate;
  return buildRouting(gate, {
    maxChoices: N,
    weightSource: 'softmax',
    choose: (token) => {
      const row = rowOf(probabilities, token, N);
      const ranked = rankExperts(row);
      return ranked.slice(0, countToThreshold(ranked.map((expert) => row[expert]), threshold));
    },
    weight: (token, expert) => probabilities[token * N + expert],
  });
}
