// Claims of tokens on experts and who goes first. Which of them fit is decided in plan.ts.
import type { ClaimPriority } from '@xmoe/routers';
import type { Routing } from '@xmoe/routers/reference';

/** A token's wish for an expert. */
export interface Claim {
  readonly token: number;
  readonly expert: number;
  /** 0 for the token's first choice. */
  readonly rank: number;
  readonly weight: number;
  /** What it competes with, see `scores` of a routing. */
  readonly score: number;
}

/** All claims of a routing by token, then rank. */
export function listClaims(routing: Routing): Claim[] {
  const { maxChoices: K, counts, expertIds, weights, scores } = routing;
  return Array.from(counts).flatMap((count, token) =>
    Array.from({ length: count }, (_, rank) => {
      const index = token * K + rank;
      return { token, expert: expertIds[index], rank, weight: weights[index], score: scores[index] };
    }),
  );
}

/**
 * Orders claims, the best first. The paper's priority p − i (Section 3.2) for the i-th choice is exactly this
 * lexicographic order, since p < 1; subtracting in floats would absorb small differences of p. With `rank`, p is ignored, and with
 * `probability` the rank; for `share` the scores are to be shares, see {@link sharesOf}.
 */
export function comparePriority(priority: ClaimPriority): (a: Claim, b: Claim) => number {
  if (priority === 'probability' || priority === 'share') return (a, b) => b.score - a.score || a.token - b.token || a.rank - b.rank;
  if (priority === 'rank') return (a, b) => a.rank - b.rank || a.token - b.token;
  return (a, b) => a.rank - b.rank || b.score - a.score || a.token - b.token;
}

/** Claims with scores over the sum of those of their token. */
export function sharesOf(claims: readonly Claim[]): Claim[] {
  const totals = new Map<number, number>();
  for (const { token, score } of claims) totals.set(token, (totals.get(token) ?? 0) + score);
  return claims.map((claim) => ({ ...claim, score: claim.score / totals.get(claim.token)! }));
}
