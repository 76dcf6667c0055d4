// Floating-point operations of a layer's forward pass: budgeted, as papers count, and executed, as each path runs. A
// multiply-add counts 2; only matrix products count. The backward pass costs twice the forward. Not a clock.
import { requireFinite, requireInteger, requireOptions } from '@xmoe/core';
import type { DispatchPath } from './plan.js';
import { capacityOf } from './reference/capacity.js';
import type { MoeFlops } from './reference/flops.js';

export type { MoeFlops } from './reference/flops.js';

export interface MoeFlopsOptions {
  /** T */
  readonly tokens: number;
  /** N */
  readonly experts: number;
  /** d */
  readonly width: number;
  /** s */
  readonly hidden: number;
  readonly dispatch: DispatchPath;
  /** γ */
  readonly capacityFactor: number;
  /** Default {@link MIN_CAPACITY}. */
  readonly minCapacity?: number;
  /** Claims kept, as {@link summarizeTrace} reports them. */
  readonly kept: number;
  /** Whether the layer has a gate. Default true. */
  readonly gate?: boolean;
  /** Columns of the gate. Default N; more with null experts. */
  readonly gateOutputs?: number;
  /** Whether the backend leaves out empty slots of the padded path (`capabilities.skipsEmptyRows`). Default false. */
  readonly skipsEmptyRows?: boolean;
}

/** Forward FLOPs of one routing group. @throws XMoEError when a size is not a positive integer, or γ or the kept claims no finite number. */
export function moeFlops(options: MoeFlopsOptions): MoeFlops {
  requireOptions('moeFlops', options);
  const { tokens: T, experts: N, width, hidden, dispatch, capacityFactor, minCapacity, kept, gate = true, gateOutputs = N, skipsEmptyRows = false } = options;
  requireInteger('moeFlops', 'tokens', T, 0);
  requireInteger('moeFlops', 'experts', N, 1);
  requireFinite('moeFlops', 'capacityFactor', capacityFactor);
  requireFinite('moeFlops', 'kept', kept);
  const perClaim = denseFlops({ tokens: 1, width, hidden });
  const executedRows = dispatch === 'padded' && !skipsEmptyRows ? N * capacityOf({ T, N, capacityFactor, minCapacity }) : kept;
  return {
    perClaim,
    router: gate ? 2 * T * width * requireInteger('moeFlops', 'gateOutputs', gateOutputs, N) : 0,
    budgeted: capacityFactor * T * perClaim,
    executedRows,
    executed: executedRows * perClaim,
    useful: kept * perClaim,
  };
}

/** Forward FLOPs 4·T·d·s of a dense feed-forward layer d → s → d. @throws XMoEError when a size is not an integer. */
export function denseFlops(sizes: { tokens: number; width: number; hidden: number }): number {
  requireOptions('denseFlops', sizes);
  const { tokens, width, hidden } = sizes;
  const d = requireInteger('denseFlops', 'width', width, 1);
  return 4 * requireInteger('denseFlops', 'tokens', tokens, 0) * d * requireInteger('denseFlops', 'hidden', hidden, 1);
}

/**
 * The hidden size γ·s of the dense layer with the budgeted FLOPs of experts of size s, rounded to an integer of at least 1.
 * @throws XMoEError when γ is not finite or s no positive integer.
 */
export function equalFlopsHidden(sizes: { capacityFactor: number; hidden: number }): number {
  requireOptions('equalFlopsHidden', sizes);
  const { capacityFactor, hidden } = sizes;
  const size = requireInteger('equalFlopsHidden', 'hidden', hidden, 1);
  return Math.max(1, Math.round(requireFinite('equalFlopsHidden', 'capacityFactor', capacityFactor) * size));
}
