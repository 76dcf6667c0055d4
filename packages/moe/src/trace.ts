// What a layer reports about its routing: small tensors at the layer, one read later. Numbers before capacity are in
// @xmoe/routers.
import { cast, ratio, sum, type GroupedProducts, type Tensor } from '@xmoe/core';
import type { Routing } from '@xmoe/routers';
import type { DispatchPath, DispatchPlan } from './plan.js';

/** The routing of one layer in one forward pass. Empty slots and padding count nowhere. */
export interface RoutingTrace {
  readonly dispatch: DispatchPath;
  readonly experts: number;
  readonly capacity: number;
  /** R: N·C on the padded path. */
  readonly rows: number;
  /** Whose products leave out empty rows here. */
  readonly skipsEmptyRows: GroupedProducts['skipsEmptyRows'];
  /** s, for shares of hidden units. */
  readonly hidden: number;
  /** int32 []: tokens that are not padding. */
  readonly tokens: Tensor;
  /** int32 [T]: experts that each token chose, 0 for padding. */
  readonly counts: Tensor;
  /** int32 [N]: claims before dropping. */
  readonly wantedPerExpert: Tensor;
  /** int32 [N]: claims kept. */
  readonly keptPerExpert: Tensor;
  /** Unscaled, float32 []. */
  readonly balanceLoss: Tensor | null;
  readonly zLoss: Tensor | null;
  /** int32 []: hidden units above 0 in the rows of kept claims; only when the layer tracks it. */
  readonly positive: Tensor | null;
  /** Every token's choices; only at collect level `tokens`. */
  readonly perToken: TokenTrace | null;
}

export interface TokenTrace {
  /** int32 [T, K], −1 where unused. */
  readonly expertIds: Tensor;
  /** int32 [T] */
  readonly counts: Tensor;
  /** int32 [T, K]: −1 where unused or dropped. */
  readonly claimRow: Tensor;
  /** float32 [T, N], or null for routers without one. */
  readonly probabilities: Tensor | null;
}

/** A {@link RoutingTrace} in numbers. Ratios are 0 when their denominator is. */
export interface RoutingSummary {
  readonly tokens: number;
  /** Claims. kept + dropped = wanted. */
  readonly wanted: number;
  readonly kept: number;
  readonly dropped: number;
  /** Experts per real token, wanted by the router and kept by capacity. */
  readonly expertsPerToken: number;
  readonly keptPerToken: number;
  /** By number of experts from 0 on: the real tokens that chose so many. Ends at the last that any token chose. */
  readonly tokensByCount: readonly number[];
  /** dropped / wanted */
  readonly dropRate: number;
  /** [N]: each expert's share of the kept claims. */
  readonly load: readonly number[];
  /** The busiest expert's kept claims over the mean: 1 when balanced, N at worst. */
  readonly loadImbalance: number;
  /**
   * Rows that the products of the experts and their gradients by row, and those of the weights' gradients, really multiply: kept
   * claims, and on the padded path all N·C slots where the backend does not leave out empty ones.
   */
  readonly executedRows: number;
  readonly executedGradientRows: number;
  /** Unscaled; null when the layer did not compute it. */
  readonly balanceLoss: number | null;
  readonly zLoss: number | null;
  /** Share of hidden units above 0 over the rows of kept claims; null unless tracked. */
  readonly positiveShare: number | null;
}

export interface TraceParts {
  readonly routing: Routing;
  readonly plan: DispatchPlan;
  readonly hidden: number;
  readonly positive: Tensor | null;
  readonly perToken: boolean;
}

/** Gathers a layer's trace. */
export function traceRouting({ routing, plan, hidden, positive, perToken }: TraceParts): RoutingTrace {
  const { expertIds, counts, mask, probabilities, balanceLoss, zLoss } = routing;
  const { dispatch, experts, capacity, rows, wantedPerExpert, keptPerExpert, claimRow } = plan;
  const { engine } = expertIds;
  return {
    dispatch,
    experts,
    capacity,
    rows,
    skipsEmptyRows: engine.groupedProducts.skipsEmptyRows,
    hidden,
    tokens: mask ? sum(cast(mask, 'int32')) : engine.scalar(plan.tokens, 'int32'),
    counts,
    wantedPerExpert,
    keptPerExpert,
    balanceLoss,
    zLoss,
    positive,
    perToken: perToken ? { expertIds, counts, claimRow, probabilities } : null,
  };
}

/** Reads the small tensors of a trace. */
export async function summarizeTrace(trace: RoutingTrace): Promise<RoutingSummary> {
  const item = async (tensor: Tensor | null): Promise<number | null> => (tensor ? tensor.item() : null);
  const [tokens, counts, wantedPerExpert, keptPerExpert] = await Promise.all([trace.tokens.item(), trace.counts.data(), trace.wantedPerExpert.data(), trace.keptPerExpert.data()]);
  const wanted = total(wantedPerExpert);
  const kept = total(keptPerExpert);
  const positive = await item(trace.positive);
  return {
    tokens,
    wanted,
    kept,
    dropped: wanted - kept,
    expertsPerToken: ratio(wanted, tokens),
    keptPerToken: ratio(kept, tokens),
    tokensByCount: tokensByCount(counts, tokens),
    dropRate: ratio(wanted - kept, wanted),
    load: Array.from(keptPerExpert, (claims) => ratio(claims, kept)),
    loadImbalance: ratio(Math.max(0, ...keptPerExpert) * trace.experts, kept),
    executedRows: trace.dispatch === 'padded' && trace.skipsEmptyRows === 'none' ? trace.rows : kept,
    executedGradientRows: trace.dispatch === 'padded' && trace.skipsEmptyRows !== 'all' ? trace.rows : kept,
    balanceLoss: await item(trace.balanceLoss),
    zLoss: await item(trace.zLoss),
    positiveShare: positive === null ? null : ratio(positive, kept * trace.hidden),
  };
}

/** Frees every tensor of a trace. */
export function disposeTrace(trace: RoutingTrace): void {
  const { tokens, counts, wantedPerExpert, keptPerExpert, balanceLoss, zLoss, positive, perToken } = trace;
  const own = [tokens, counts, wantedPerExpert, keptPerExpert, balanceLoss, zLoss, positive, ...(perToken ? Object.values(perToken) as (Tensor | null)[] : [])];
  for (const tensor of new Set(own)) tensor?.dispose();
}

function total(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sumSoFar, value) => sumSoFar + value, 0);
}

/** Padding chose none, and does not count. */
function tokensByCount(counts: ArrayLike<number>, tokens: number): number[] {
  const by: number[] = [-(counts.length - tokens)];
  for (let token = 0; token < counts.length; token++) {
    const count = counts[token]!;
    while (by.length <= count) by.push(0);
    by[count]!++;
  }
  return by;
}
