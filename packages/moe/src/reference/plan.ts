// Which claims each dispatch path keeps. It moves no data: that is layer.ts here, and kernels in the tensor layer.
import { requireOptions, unknownName, type DispatchPath } from '@xmoe/core';
import type { Priority, Routing } from '@xmoe/routers/reference';
import { budgetOf, capacityOf } from './capacity.js';
import { type Claim, comparePriority, listClaims } from './claims.js';

export type { DispatchPath } from '@xmoe/core';

export interface PlanOptions {
  /**
   * `padded` (default): every expert keeps its C best claims, in C slots. `grouped`: every claim is kept. `budget`: the best
   * min(claims, ⌈γ·T⌉) claims over all experts are kept, with no limit per expert.
   */
  readonly path?: DispatchPath;
  /** γ. Default 1. The grouped path ignores it. */
  readonly capacityFactor?: number;
  /** Padded path only. Default 4. */
  readonly minCapacity?: number;
  /** Default: what the router asks for. */
  readonly priority?: Priority;
}

/** The plan of one routing group. */
export interface DispatchPlan {
  readonly path: DispatchPath;
  readonly tokens: number;
  readonly experts: number;
  /** C: the claims one expert may keep; T where there is no such limit. */
  readonly capacity: number;
  /** The claims the layer may keep: N·C padded, all claims grouped, B budget. */
  readonly budget: number;
  /** Claims before dropping. */
  readonly wanted: number;
  /** [token, expert, slot, weight] by token, then expert. The slot is the claim's place by priority within its expert. */
  readonly kept: readonly KeptClaim[];
  /** [token, expert] by token, then expert. */
  readonly dropped: readonly (readonly [token: number, expert: number])[];
}

export type KeptClaim = readonly [token: number, expert: number, slot: number, weight: number];

const PATHS: readonly DispatchPath[] = ['padded', 'grouped', 'budget'];

/**
 * Decides which claims of a routing are kept and in which slot. kept + dropped = wanted on every path.
 * @throws XMoEError `config` for an unknown path, `value` for a bad capacity factor or minimum
 */
export function planDispatch(routing: Routing, options: PlanOptions = {}): DispatchPlan {
  requireOptions('planDispatch', routing);
  requireOptions('planDispatch', options);
  const { path = 'padded', capacityFactor = 1, minCapacity = 4 } = options;
  if (!PATHS.includes(path)) throw unknownName('planDispatch', 'dispatch path', path, PATHS);
  const { tokens: T, experts: N } = routing;
  const claims = listClaims(routing).sort(comparePriority(options.priority ?? routing.priority));
  const capacity = path === 'padded' ? capacityOf({ T, N, capacityFactor, minCapacity }) : T;
  let budget = path === 'padded' ? N * capacity : claims.length;
  if (path === 'budget') budget = Math.min(budget, budgetOf({ T, capacityFactor }));
  const { kept, dropped } = admit(claims, capacity, budget, N);
  return { path, tokens: T, experts: N, capacity, budget, wanted: claims.length, kept, dropped };
}

/** Admits claims, given best first, while their expert and the layer have room. */
function admit(claims: readonly Claim[], capacity: number, budget: number, N: number): Pick<DispatchPlan, 'kept' | 'dropped'> {
  const kept: KeptClaim[] = [];
  const dropped: (readonly [number, number])[] = [];
  const taken = new Int32Array(N);
  for (const { token, expert, weight } of claims) {
    if (taken[expert] < capacity && kept.length < budget) kept.push([token, expert, taken[expert]++, weight]);
    else dropped.push([token, expert]);
  }
  const byPair = (a: readonly number[], b: readonly number[]): number => a[0] - b[0] || a[1] - b[1];
  return { kept: kept.sort(byPair), dropped: dropped.sort(byPair) };
}
