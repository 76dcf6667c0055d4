// Floating-point operations of an MoE layer's forward pass: budgeted, as papers count, and executed, as each path runs.
// A multiply-add counts 2; only matrix products count. The backward pass costs twice the forward. Not a clock.
import { requireInteger } from '@xmoe/core';
import type { DispatchPlan } from './plan.js';

export interface MoeFlopsOptions {
  readonly d: number;
  readonly s: number;
  /** γ; only the budgeted figure depends on it. */
  readonly capacityFactor: number;
  /** Whether empty slots of the padded path are left out. Default false. */
  readonly skipsEmptyRows?: boolean;
}

export interface MoeFlops {
  /** O(E) = 4·d·s: one token through one expert. */
  readonly perClaim: number;
  /** 2·T·d·N: the gate. */
  readonly router: number;
  /** γ·T·O(E) (Eq. 6): the experts as the configuration promises them. */
  readonly budgeted: number;
  /** Rows the path multiplies: N·C padded, unless empty slots are left out; kept claims otherwise. */
  readonly executedRows: number;
  /** executedRows·O(E): the experts as the path runs them. */
  readonly executed: number;
  /** kept·O(E): the part of `executed` that reaches the output. */
  readonly useful: number;
}

/** Counts the forward FLOPs of one routing group under a plan. @throws XMoEError when d or s is not a positive integer. */
export function moeFlops(plan: DispatchPlan, { d, s, capacityFactor, skipsEmptyRows = false }: MoeFlopsOptions): MoeFlops {
  const width = requireInteger('moeFlops', 'd', d, 1);
  const perClaim = 4 * width * requireInteger('moeFlops', 's', s, 1);
  const executedRows = plan.dispatch === 'padded' && !skipsEmptyRows ? plan.experts * plan.capacity : plan.kept.length;
  return {
    perClaim,
    router: 2 * plan.tokens * width * plan.experts,
    budgeted: capacityFactor * plan.tokens * perClaim,
    executedRows,
    executed: executedRows * perClaim,
    useful: plan.kept.length * perClaim,
  };
}
