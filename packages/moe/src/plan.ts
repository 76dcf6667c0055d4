// Dispatch plans on the device: how many rows a layer computes, and which claims get them. It moves no activations; that is
// experts.ts. Integers only, no gradient.
import {
  bincount, dispatchClaims, divide, floorDivide, greaterEqual, maximum, requireName, requireOptions, reshape, select, sum, type DispatchedClaims, type DispatchOptions,
  type DispatchPath, type Tensor,
} from '@xmoe/core';
import type { ClaimPriority, Routing } from '@xmoe/routers';
import { budgetOf, capacityOf, poolOf } from './reference/capacity.js';

export type { DispatchPath } from '@xmoe/core';

export interface PlanOptions {
  /**
   * `padded`: each expert keeps its C best claims, in C slots. `grouped`: every claim is kept. `budget`: the best
   * min(claims, ⌈γ·T⌉) claims over all experts are kept.
   */
  readonly dispatch: DispatchPath;
  /** γ. Default 1. The grouped path ignores it. */
  readonly capacityFactor?: number;
  /** Padded path only. Default {@link MIN_CAPACITY}. */
  readonly minCapacity?: number;
  /** Default: what the router asks for. */
  readonly priority?: ClaimPriority;
  /** Budget path only: tokens of one pool, which share its ⌈γ·tokens⌉ claims; T is a multiple of it. Default: T. */
  readonly poolTokens?: number;
}

/** Rows are what the experts compute; claims are flat indices t·K + j. */
export interface DispatchPlan {
  readonly dispatch: DispatchPath;
  readonly tokens: number;
  readonly experts: number;
  /** C on the padded path; T where there is no limit per expert. */
  readonly capacity: number;
  /** R. Padded: N·C, row = expert·C + slot. Otherwise rows are ordered by expert and the used ones come first. */
  readonly rows: number;
  /** int32 [R]: the claim of a row; −1 for an empty row. */
  readonly rowClaim: Tensor;
  /** int32 [R]: the token of a row; −1 for an empty row. */
  readonly rowToken: Tensor;
  /** int32 [T, K]: the row of a claim; −1 for one that is unused or dropped. */
  readonly claimRow: Tensor;
  /** int32 [N + 1]: where each expert's rows begin; on the padded path empty slots lie inside. */
  readonly offsets: Tensor;
  /** int32 [N]: claims before dropping. */
  readonly wantedPerExpert: Tensor;
  /** int32 [N]: claims kept. */
  readonly keptPerExpert: Tensor;
}

const PATHS: readonly DispatchPath[] = ['padded', 'grouped', 'budget'];

/** Grouped rows come in multiples of this, so that buffers are reused from step to step. */
const ROW_MULTIPLE = 32;

/**
 * Plans the dispatch of one routing group. All shapes are static, except the rows of `grouped` where the backend reads
 * synchronously: there they follow the number of claims; elsewhere they are T·K.
 * @throws XMoEError `config` for an unknown path, `value` for a bad capacity factor or minimum
 */
export function planDispatch(routing: Routing, options: PlanOptions): DispatchPlan {
  requireOptions('planDispatch', routing);
  requireOptions('planDispatch', options);
  const { dispatch, capacityFactor = 1, minCapacity } = options;
  requireName('planDispatch', 'dispatch path', dispatch, PATHS);
  const { expertIds, tokens: T, experts: N, maxChoices: K } = routing;
  const { priority = routing.priority } = options;
  const pool = dispatch === 'budget' ? poolOf(T, options.poolTokens) : T;
  const capacity = dispatch === 'padded' ? capacityOf({ T, N, capacityFactor, minCapacity }) : T;
  const { engine } = expertIds;
  return engine.noGrad(() =>
    engine.scope(() => {
      let rows = N * capacity;
      if (dispatch === 'grouped') rows = rowsForClaims(routing);
      else if (dispatch === 'budget') rows = Math.min(T * K, pool === 0 ? 0 : budgetOf({ T: pool, capacityFactor }) * (T / pool));
      const pooled = pool < T ? withinPools(routing, pool, budgetOf({ T: pool, capacityFactor }), priority) : expertIds;
      const { wanted, load, ...indices } = dispatchBy(priority, routing, pooled, { dispatch, experts: N, rows });
      return { dispatch, tokens: T, experts: N, capacity, rows, ...indices, wantedPerExpert: pool < T ? bincount(expertIds, N) : wanted, keptPerExpert: load };
    }),
  );
}

/** `dispatchClaims` with ids of the caller's. By probability, every claim is one of a first choice: its place is that of its score among all. */
function dispatchBy(priority: ClaimPriority, routing: Routing, ids: Tensor, options: Omit<DispatchOptions, 'rankOnly'>): DispatchedClaims {
  const { tokens: T, maxChoices: K } = routing;
  if (priority === 'rank' || priority === 'rank-probability') return dispatchClaims(ids, routing.scores, { ...options, rankOnly: priority === 'rank' });
  const flat = [T * K, 1];
  const scores = priority === 'share' ? sharesOf(routing) : routing.scores;
  const { rowClaim, claimRow, rowToken: _, ...rest } = dispatchClaims(reshape(ids, flat), reshape(scores, flat), options);
  return { ...rest, rowClaim, claimRow: reshape(claimRow, [T, K]), rowToken: floorDivide(rowClaim, Math.max(1, K)) }; // −1 stays −1
}

/** Scores over the sum of the token's chosen ones. */
function sharesOf({ scores, expertIds }: Routing): Tensor {
  const chosen = select(greaterEqual(expertIds, 0), scores, 0);
  return divide(chosen, maximum(sum(chosen, -1, { keepAxes: true }), 1e-30));
}

/** The ids [T, K] with −1 for claims beyond the `budget` best of their pool: the pools choose as experts with so many slots do. */
function withinPools(routing: Routing, pool: number, budget: number, priority: ClaimPriority): Tensor {
  const { expertIds, tokens: T } = routing;
  const used = greaterEqual(expertIds, 0);
  const pools = select(used, reshape(floorDivide(expertIds.engine.iota(T), pool), [T, 1]), -1);
  const { claimRow } = dispatchBy(priority, routing, pools, { dispatch: 'padded', experts: T / pool, rows: (T / pool) * budget });
  return select(greaterEqual(claimRow, 0), expertIds, -1);
}

/** The rows of the grouped path: at least one for each claim. */
function rowsForClaims({ counts, full, tokens, maxChoices }: Routing): number {
  const most = tokens * maxChoices;
  if (full || !counts.engine.backend.readSync) return most;
  const claims = sum(counts).dataSync()[0]!;
  return Math.min(most, Math.max(1, Math.ceil(claims / ROW_MULTIPLE)) * ROW_MULTIPLE);
}

/** How many claims the plan wanted and kept: int32 [] each. */
export function claimTotals({ wantedPerExpert, keptPerExpert }: DispatchPlan): { wanted: Tensor; kept: Tensor } {
  return { wanted: sum(wantedPerExpert), kept: sum(keptPerExpert) };
}
