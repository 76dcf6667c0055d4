// Dispatch plans on the device: which claims are kept and in which row they are computed. It moves no activations; that
// is experts.ts. Integers only, no gradient.
import {
  XMoEError, add, bincount, cumsum, floorDivide, gatherRows, less, minimum, scatterAddRows, select, slice, sortByKey, subtract, sum,
  type Tensor,
} from '@xmoe/core';
import type { Routing } from '@xmoe/routers';
import { unknownName } from '@xmoe/routers/reference';
import { claimsByExpert, claimsByPriority, flat, unusedLast } from './claim-order.js';
import { budgetOf, capacityOf } from './reference/capacity.js';
import type { DispatchPath } from './reference/plan.js';

export type { DispatchPath } from './reference/plan.js';

export interface PlanOptions {
  /**
   * `padded`: each expert keeps its C best claims, in C slots. `grouped`: every claim is kept. `budget`: the best
   * min(claims, ⌈γ·T⌉) claims over all experts are kept.
   */
  readonly dispatch: DispatchPath;
  /** γ. Default 1. The grouped path ignores it. */
  readonly capacityFactor?: number;
  /** Padded path only. Default 4. */
  readonly minCapacity?: number;
  /** Also compute `wantedPerExpert` and `load`. Default true. */
  readonly counts?: boolean;
}

/** Rows are what the experts compute; claims are flat indices t·K + j. */
export interface DispatchPlan {
  readonly kind: DispatchPath;
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
  /** int32 [N]: claims before dropping; null unless counted. */
  readonly wantedPerExpert: Tensor | null;
  /** int32 [N]: claims kept; null unless counted. */
  readonly load: Tensor | null;
}

const PATHS: readonly DispatchPath[] = ['padded', 'grouped', 'budget'];

/** Grouped rows come in multiples of this, so that buffers are reused from step to step. */
const ROW_MULTIPLE = 32;

/** Rows and claims before they are linked to each other. */
type Rows = Pick<DispatchPlan, 'capacity' | 'rowClaim' | 'offsets' | 'wantedPerExpert' | 'load'>;

/**
 * Plans the dispatch of one routing group. All shapes are static, except the rows of `grouped` where the backend reads
 * synchronously: there they follow the number of claims; elsewhere they are T·K.
 * @throws XMoEError `config` for an unknown path, `value` for a bad capacity factor or minimum
 */
export function planDispatch(routing: Routing, options: PlanOptions): DispatchPlan {
  const { dispatch, capacityFactor = 1, minCapacity = 4, counts = true } = options;
  if (!PATHS.includes(dispatch)) throw unknownName('dispatch path', dispatch, PATHS, 'planDispatch');
  const { tokens: T, experts: N, maxChoices: K } = routing;
  const { engine } = routing.expertIds;
  return engine.noGrad(() =>
    engine.scope(() => {
      let planned: Rows;
      if (dispatch === 'padded') planned = padRows(routing, capacityOf({ T, N, capacityFactor, minCapacity }), counts);
      else if (dispatch === 'grouped') planned = groupRows(routing, counts);
      else planned = budgetRows(routing, Math.min(T * K, budgetOf({ T, capacityFactor })), counts);
      const { rowClaim } = planned;
      const rows = rowClaim.size;
      // The inverse of rowClaim: rows counted from 1 land on their claims, the others stay 0.
      const numbers = engine.alias(engine.iota(rows, { start: 1 }), [rows, 1]);
      const claimRow = subtract(scatterAddRows(numbers, rowClaim, T * K), 1);
      return {
        kind: dispatch,
        tokens: T,
        experts: N,
        rows,
        ...planned,
        rowToken: K === 1 ? engine.alias(rowClaim) : floorDivide(rowClaim, K), // −1 stays −1
        claimRow: engine.alias(claimRow, [T, K]),
      };
    }),
  );
}

/** How many claims the plan wanted and kept: int32 [] each. */
export function claimTotals({ wantedPerExpert, load }: DispatchPlan): { wanted: Tensor; kept: Tensor } {
  if (wantedPerExpert && load) return { wanted: sum(wantedPerExpert), kept: sum(load) };
  throw new XMoEError('value', 'the plan was made without counts', { op: 'claimTotals', hint: 'pass counts: true to planDispatch' });
}

/** C slots per expert. */
function padRows(routing: Routing, capacity: number, counts: boolean): Rows {
  const { expertIds, experts: N } = routing;
  const { engine } = expertIds;
  const order = claimsByExpert(routing, unusedLast(routing));
  const wanted = bincount(expertIds, N);
  const slots = engine.iota(capacity);
  const used = less(slots, engine.alias(wanted, [N, 1])); // [N, C]
  const places = add(engine.alias(cumsum(wanted, { exclusive: true }), [N, 1]), slots); // [N, C] in the sorted claims
  return {
    capacity,
    rowClaim: flat(select(used, gatherRows(order, places), -1)),
    offsets: engine.iota(N + 1, { step: capacity }),
    wantedPerExpert: counts ? wanted : null,
    load: counts ? minimum(wanted, capacity) : null,
  };
}

/** Every claim, by expert, then token. */
function groupRows(routing: Routing, counts: boolean): Rows {
  const { expertIds, experts: N, tokens: T, full } = routing;
  const { engine } = expertIds;
  const ids = unusedLast(routing);
  const order = sortByKey(flat(ids));
  const offsets = offsetsOf(ids, N);
  const wanted = counts ? bincount(expertIds, N) : null;
  if (full) return { capacity: T, rowClaim: order, offsets, wantedPerExpert: wanted, load: wanted };
  let rows = order.size;
  if (engine.backend.readSync) {
    const claims = offsets.dataSync()[N]!;
    rows = Math.min(rows, Math.max(1, Math.ceil(claims / ROW_MULTIPLE)) * ROW_MULTIPLE);
  }
  const first = rows < order.size ? slice(order, [0], [rows]) : order;
  return { capacity: T, rowClaim: emptyAfter(first, offsets), offsets, wantedPerExpert: wanted, load: wanted };
}

/** The best `budget` claims of the layer, by expert, then priority. */
function budgetRows(routing: Routing, budget: number, counts: boolean): Rows {
  const { expertIds, experts: N, tokens: T, full } = routing;
  const order = claimsByPriority(routing);
  const best = budget < order.size ? slice(order, [0], [budget]) : order;
  const ids = gatherRows(flat(unusedLast(routing)), best);
  const byExpert = gatherRows(best, sortByKey(ids));
  const offsets = offsetsOf(ids, N);
  return {
    capacity: T,
    rowClaim: full ? byExpert : emptyAfter(byExpert, offsets),
    offsets,
    wantedPerExpert: counts ? bincount(expertIds, N) : null,
    load: counts ? bincount(ids, N) : null,
  };
}

/** Where each expert begins among ids sorted with N last: int32 [N + 1]. */
function offsetsOf(ids: Tensor, experts: number): Tensor {
  return cumsum(bincount(ids, experts + 1), { exclusive: true });
}

/** −1 from row offsets[N] on. */
function emptyAfter(rowClaim: Tensor, offsets: Tensor): Tensor {
  const used = slice(offsets, [offsets.size - 1], [1]);
  return select(less(rowClaim.engine.iota(rowClaim.size), used), rowClaim, -1);
}
