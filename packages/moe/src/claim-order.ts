// The order of claims on the device: stable sorts by several keys, the last key first. What fits is decided in plan.ts.
// A claim is the flat index t·K + j of token t's choice j.
import { add, broadcastTo, gatherRows, greaterEqual, multiply, negate, remainder, select, sortByKey, type Tensor } from '@xmoe/core';
import type { Routing } from '@xmoe/routers';

/** expertIds with N in place of −1, so that unused claims sort last: int32 [T, K]. */
export function unusedLast({ expertIds, experts, full }: Routing): Tensor {
  return full ? expertIds : remainder(expertIds, experts + 1);
}

/** One axis, unrecorded: claims [T, K] → [T·K]. */
export function flat(perClaim: Tensor): Tensor {
  return perClaim.engine.alias(perClaim, [perClaim.size]);
}

/** Claims by expert, then priority: int32 [T·K]. The paper's p − i (Section 3.2) as (rank, −p, token); unused ones last. */
export function claimsByExpert(routing: Routing, experts: Tensor): Tensor {
  const { maxChoices: K } = routing;
  const key = K === 1 ? experts : add(multiply(experts, K), experts.engine.iota(K)); // expert, then rank
  return sortByPriority(routing, flat(key));
}

/** Claims by priority over all experts: int32 [T·K]; unused ones last. */
export function claimsByPriority(routing: Routing): Tensor {
  const { expertIds, maxChoices: K, full, tokens, scores } = routing;
  const { engine } = expertIds;
  if (full && K === 1) {
    return routing.priority === 'rank' ? engine.iota(tokens) : sortByKey(flat(negate(scores)));
  }
  const ranks = engine.alias(engine.iota(K), [1, K]);
  const key = full ? broadcastTo(ranks, [tokens, K]) : select(greaterEqual(expertIds, 0), ranks, K);
  return sortByPriority(routing, flat(key));
}

/** Sorts by `key` int32 [T·K], which holds the rank; then by falling p, if the router asks for it; then by claim. */
function sortByPriority({ scores, priority }: Routing, key: Tensor): Tensor {
  if (priority === 'rank') return sortByKey(key);
  const byScore = sortByKey(flat(negate(scores)));
  return gatherRows(byScore, sortByKey(gatherRows(key, byScore)));
}
