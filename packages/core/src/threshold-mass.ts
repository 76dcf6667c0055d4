// How the probabilities of a token are added up until they reach a threshold: in whole units, which are exact, so that every backend
// and the routers on plain arrays count alike. docs/decisions/0020. No tensors here.

/** One is 2^30 units: what comes before a threshold below 1, and one more probability, stay below 2^31. */
export const MASS_ONE = 2 ** 30;

/** What the rounding of a float32 softmax may leave below a sum that is t on paper; WGSL's division is good to 2.5 units in the last place. */
export const SOFTMAX_SLACK = 1e-6;

/** p in units, rounded down; above 1 it is 1, below 0 and NaN it is 0. */
function massOf(p: number): number {
  return p > 0 ? Math.floor(Math.min(p, 1) * MASS_ONE) : 0;
}

/**
 * The units of mass that have reached the threshold t, for N experts; ∞ from t = 1 on, which no sum reaches. Each probability is short by
 * less than a unit, so m ≤ N of them by less than N: that much less, and the slack of softmax, is enough.
 */
export function massToReach(threshold: number, experts: number): number {
  if (threshold >= 1) return Infinity;
  return Math.ceil((Math.max(0, threshold) - SOFTMAX_SLACK) * MASS_ONE) - experts;
}

/** The smallest m ≥ 1 whose values from `begin` on reach `limit` units, at most as many as there are before `end`. */
export function countToReach(sorted: ArrayLike<number>, begin: number, end: number, limit: number): number {
  if (limit === Infinity) return end - begin;
  let mass = 0;
  for (let at = begin; at < end; at++) {
    mass += massOf(sorted[at]!);
    if (mass >= limit) return at + 1 - begin;
  }
  return end - begin;
}
