// Which claims each dispatch path keeps. It moves no data: that is layer.ts here, and kernels in the tensor layer.
import { requireName, requireOptions, type DispatchPath } from '@xmoe/core';
import type { ClaimPriority } from '@xmoe/routers';
import type { Routing } from '@xmoe/routers/reference';
import { budgetOf, capacityOf, poolOf } from './capacity.js';
import { type Claim, comparePriority, listClaims, sharesOf } from './claims.js';

export type { DispatchPath } from '@xmoe/core';

export interface PlanOptions {
  /**
   * `padded` (default): every expert keeps its C best claims, in C slots. `grouped`: every claim is kept. `budget`: the best
   * min(claims, ⌈γ·T⌉) claims over all experts are kept, with no limit per expert.
   */
  readonly dispatch?: DispatchPath;
  /** γ. Default 1. The grouped path ignores it. */
  readonly capacityFactor?: number;
  /** Padded path only. Default {@link MIN_CAPACITY}. */
  readonly minCapacity?: number;
  /** Default: what the router asks for. */
  readonly priority?: ClaimPriority;
  /** Budget path only: tokens of one pool, which share its ⌈γ·tokens⌉ claims; T is a multiple of it. Default: T. */
  readonly poolTokens?: number;
}

/** The plan of one routing group. */
export interface DispatchPlan {
  readonly dispatch: DispatchPath;
  readonly tokens: number;
  /** [T]: 1 = real token, 0 = padding. */
  readonly mask: Uint8Array;
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
  const { dispatch = 'padded', capacityFactor = 1, minCapacity } = options;
  requireName('planDispatch', 'dispatch path', dispatch, PATHS);
  const { tokens: T, mask, experts: N } = routing;
  const priority = options.priority ?? routing.priority;
  const listed = listClaims(routing);
  const claims = (priority === 'share' ? sharesOf(listed) : listed).sort(comparePriority(priority));
  const capacity = dispatch === 'padded' ? capacityOf({ T, N, capacityFactor, minCapacity }) : T;
  if (dispatch !== 'budget') {
    const budget = dispatch === 'padded' ? N * capacity : claims.length;
    return { dispatch, tokens: T, mask, experts: N, capacity, budget, wanted: claims.length, ...admit(claims, capacity, budget, N) };
  }
  const pool = poolOf(T, options.poolTokens);
  const perPool = budgetOf({ T: pool, capacityFactor });
  const pools = Array.from({ length: T === 0 ? 0 : T / pool }, (_, index) => claims.filter(({ token }) => Math.floor(token / pool) === index));
  const allowed = new Set(pools.flatMap((own) => own.slice(0, perPool)));
  const budget = allowed.size;
  const { kept, dropped } = admit([...claims.filter((claim) => allowed.has(claim)), ...claims.filter((claim) => !allowed.has(claim))], capacity, budget, N);
  return { dispatch, tokens: T, mask, experts: N, capacity, budget, wanted: claims.length, kept, dropped };
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
