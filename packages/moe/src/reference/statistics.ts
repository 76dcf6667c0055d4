// What capacity did to a routing group, in numbers. What the router wanted is in @xmoe/routers.
import { ratio } from '@xmoe/core';
import type { DispatchPlan } from './plan.js';

export interface PlanStatistics {
  readonly wanted: number;
  readonly kept: number;
  readonly dropped: number;
  /** dropped / wanted; 0 when nothing was wanted. */
  readonly dropRate: number;
  /** [N]. */
  readonly wantedPerExpert: Int32Array;
  /** [N]: the load after capacity. Empty slots count nowhere. */
  readonly keptPerExpert: Int32Array;
  /** Slots nobody claimed: N·C − kept on the padded path, else 0. */
  readonly emptySlots: number;
  /** Real tokens that keep no expert, all theirs dropped or none wanted: they get only the residual. */
  readonly tokensWithoutExpert: number;
}

/** Statistics of one plan; padding tokens make no claims and so do not enter. */
export function planStatistics(plan: DispatchPlan): PlanStatistics {
  const keptPerExpert = new Int32Array(plan.experts);
  const wantedPerExpert = new Int32Array(plan.experts);
  const keptPerToken = new Int32Array(plan.tokens);
  for (const [token, expert] of plan.kept) {
    keptPerExpert[expert]++;
    wantedPerExpert[expert]++;
    keptPerToken[token]++;
  }
  for (const [, expert] of plan.dropped) wantedPerExpert[expert]++;
  return {
    wanted: plan.wanted,
    kept: plan.kept.length,
    dropped: plan.dropped.length,
    dropRate: ratio(plan.dropped.length, plan.wanted),
    wantedPerExpert,
    keptPerExpert,
    emptySlots: plan.dispatch === 'padded' ? plan.budget - plan.kept.length : 0,
    tokensWithoutExpert: keptPerToken.filter((kept, token) => kept === 0 && plan.mask[token] === 1).length,
  };
}
