// The experts of a layer on dispatched rows: their parameters, checks, and which kernels compute them. Which row holds what is
// the plan's matter; the fused op is in fused-experts.ts.
import {
  XMoEError, biasActivation, cast, combineExperts, gatherRows, greater, greaterEqual, matmul, requireName, reshape, select, sum,
  type Activation, type Tensor,
} from '@xmoe/core';
import { fusedExperts } from './fused-experts.js';
import type { DispatchPlan } from './plan.js';

export type ExpertActivation = Exclude<Activation, 'none'>;

const ACTIVATIONS: readonly ExpertActivation[] = ['gelu-tanh', 'gelu-erf', 'relu'];

/** The parameters of N experts E_i(h) = W2_i · act(W1_i·h + b1_i) + b2_i. */
export interface ExpertWeights {
  /** [N, d, s] */
  readonly w1: Tensor;
  /** [N, s] */
  readonly b1: Tensor;
  /** [N, s, d] */
  readonly w2: Tensor;
  /** [N, d]: inside the expert, so the weight of a claim scales it. */
  readonly b2: Tensor;
}

export interface ExpertsOptions {
  /** Also count hidden units above 0. Default false. */
  readonly trackPositive?: boolean;
}

export interface ExpertsResult {
  /** [T, d] in the dtype of x: zero for a token with no kept claim. */
  readonly output: Tensor;
  /** int32 []: hidden units above 0 after the activation, over the rows of kept claims; null unless tracked. */
  readonly positive: Tensor | null;
}

/** Returns `activation` if experts can use it. @throws XMoEError `config` with the nearest name. */
export function requireActivation(activation: ExpertActivation): ExpertActivation {
  return requireName('moe layer', 'activation', activation, ACTIVATIONS);
}

/**
 * y = Σ over kept claims of w · E_i(x). x [T, d] float; weights float32 [T, K]. Matmuls run in the dtype of x; parameters are
 * float32 or in that dtype. Empty rows are not computed.
 * @throws XMoEError `shape` or `dtype` when the parts do not fit each other.
 */
export function applyExperts(
  x: Tensor, weights: Tensor, plan: DispatchPlan, experts: ExpertWeights, activation: ExpertActivation,
  { trackPositive = false }: ExpertsOptions = {},
): ExpertsResult {
  checkExperts(experts, plan.experts, x.shape[1]!, experts.b1.shape[1]!);
  checkOperands(x, weights, plan, experts);
  const inspect = trackPositive ? (hidden: Tensor): Tensor => countPositive(hidden, plan) : null;
  if (plan.dispatch === 'padded' && !x.engine.groupedProducts.native) return batchedExperts(x, weights, plan, experts, activation, inspect);
  const { output, inspected } = fusedExperts({ x, weights, plan, experts, activation, inspect });
  return { output, positive: inspected };
}

/**
 * The padded path by batched matrix products [N, C, ·], empty slots included. For backends without grouped kernels of their
 * own: a device that is driven kernel by kernel through another library does N small products, and waits for their sizes.
 */
function batchedExperts(
  x: Tensor, weights: Tensor, plan: DispatchPlan, { w1, b1, w2, b2 }: ExpertWeights, activation: Activation,
  inspect: ((hidden: Tensor) => Tensor) | null,
): ExpertsResult {
  const { engine } = x;
  const { experts: N, capacity, rows, offsets } = plan;
  const layer = (slots: Tensor, w: Tensor, b: Tensor, act: Activation): Tensor =>
    engine.scope(() => {
      const products = matmul(reshape(slots, [N, capacity, w.shape[1]!]), cast(w, x.dtype)); // [N, C, ·]
      return biasActivation(reshape(products, [rows, w.shape[2]!]), b, act, offsets);
    });
  return engine.scope(() => {
    const hidden = engine.scope(() => layer(gatherRows(x, plan.rowToken), w1, b1, activation)); // [R, s]
    const positive = inspect ? engine.noGrad(() => inspect(hidden)) : null;
    return { output: combineExperts(layer(hidden, w2, b2, 'none'), weights, plan.claimRow, plan.rowClaim), positive };
  });
}

/** Hidden units above 0 in each row of hidden [R, s]: int32 [R]. */
export function positivePerRow(hidden: Tensor): Tensor {
  return hidden.engine.scope(() => sum(cast(greater(hidden, 0), 'int32'), 1));
}

/** Hidden units above 0 over the rows of kept claims: int32 []. hidden [R, s]. */
function countPositive(hidden: Tensor, { dispatch, rowClaim }: DispatchPlan): Tensor {
  return hidden.engine.scope(() => {
    const perRow = positivePerRow(hidden);
    // Rows after the last claim are 0; slots between claims hold what the bias alone gives where they are computed.
    return sum(dispatch === 'padded' ? select(greaterEqual(rowClaim, 0), perRow, 0) : perRow);
  });
}

function checkOperands(x: Tensor, weights: Tensor, { claimRow }: DispatchPlan, experts: ExpertWeights): void {
  const op = 'applyExperts';
  if (weights.shape.join() !== claimRow.shape.join() || x.shape[0] !== claimRow.shape[0]) {
    throw new XMoEError('shape', `weights are [${weights.shape.join(', ')}] and x [${x.shape.join(', ')}], the plan is for claims [${claimRow.shape.join(', ')}]`, {
      op,
      hint: 'pass the weights of the routing that the plan was made from',
    });
  }
  for (const [name, { dtype }] of Object.entries(experts) as [string, Tensor][]) {
    if (dtype === 'float32' || dtype === x.dtype) continue;
    throw new XMoEError('dtype', `${name} is ${dtype}, x is ${x.dtype}`, { op, hint: 'keep parameters in float32' });
  }
}

/** Refuses weights that are not those of N experts of one shape. */
export function checkExperts({ w1, b1, w2, b2 }: ExpertWeights, experts: number, width: number, hidden: number): void {
  const expected = [[w1, [experts, width, hidden]], [b1, [experts, hidden]], [w2, [experts, hidden, width]], [b2, [experts, width]]] as const;
  expected.forEach(([tensor, shape], index) => {
    if (tensor.shape.join() === shape.join()) return;
    const name = ['w1', 'b1', 'w2', 'b2'][index];
    throw new XMoEError('shape', `${name} is [${tensor.shape.join(', ')}], expected [${shape.join(', ')}]`, {
      op: 'moe layer',
      hint: 'the parameters were made for another configuration',
    });
  });
}
