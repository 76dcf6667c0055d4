// Dispatch plans on the device: how many rows a layer computes, and which claims get them. It moves no activations; that is
// experts.ts. Integers only, no gradient.
import { dispatchClaims, requireName, requireOptions, sum, type DispatchPath, type Tensor } from '@xmoe/core';
import type { Routing } from '@xmoe/routers';
import { budgetOf, capacityOf } from './reference/capacity.js';

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
  const { expertIds, scores, tokens: T, experts: N, maxChoices: K, priority } = routing;
  const capacity = dispatch === 'padded' ? capacityOf({ T, N, capacityFactor, minCapacity }) : T;
  const { engine } = expertIds;
  return engine.noGrad(() =>
    engine.scope(() => {
      let rows = N * capacity;
      if (dispatch === 'grouped') rows = rowsForClaims(routing);
      else if (dispatch === 'budget') rows = Math.min(T * K, budgetOf({ T, capacityFactor }));
      const { wanted, load, ...indices } = dispatchClaims(expertIds, scores, { dispatch, experts: N, rows, rankOnly: priority === 'rank' });
      return { dispatch, tokens: T, experts: N, capacity, rows, ...indices, wantedPerExpert: wanted, keptPerExpert: load };
    }),
  );
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
