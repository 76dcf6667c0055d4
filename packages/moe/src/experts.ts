// The experts on dispatched rows: gather, W1, activation, W2, combine. Which row holds what is the plan's matter.
import {
  XMoEError, biasActivation, cast, combineExperts, gatherRows, greater, greaterEqual, groupedMatmul, matmul, reshape, select, sum,
  type Activation, type Tensor,
} from '@xmoe/core';
import { unknownName } from '@xmoe/routers/reference';
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

export interface ExpertsResult {
  /** [T, d] in the dtype of x: zero for a token with no kept claim. */
  readonly output: Tensor;
  /** [R, s] after the activation. */
  readonly hidden: Tensor;
}

/** Returns `activation` if experts can use it. @throws XMoEError `config` with the nearest name. */
export function requireActivation(activation: ExpertActivation): ExpertActivation {
  if (ACTIVATIONS.includes(activation)) return activation;
  throw unknownName('activation', activation, ACTIVATIONS, 'moe layer');
}

/**
 * y = Σ over kept claims of w · E_i(x). x [T, d] float; weights float32 [T, K]. Matmuls run in the dtype of x. Without
 * gradients every intermediate but `hidden` is freed on the way.
 */
export function applyExperts(x: Tensor, weights: Tensor, plan: DispatchPlan, experts: ExpertWeights, activation: ExpertActivation): ExpertsResult {
  const { engine } = x;
  const { offsets } = plan;
  const layer = (rows: Tensor, w: Tensor, b: Tensor, act: Activation): Tensor =>
    engine.scope(() => biasActivation(project(rows, cast(w, x.dtype), plan), b, act, offsets));
  const hidden = engine.scope(() => layer(gatherRows(x, plan.rowToken), experts.w1, experts.b1, activation)); // [R, s]
  const output = engine.scope(() =>
    combineExperts(layer(hidden, experts.w2, experts.b2, 'none'), weights, plan.claimRow, plan.rowClaim),
  );
  return { output, hidden };
}

/** Each row times its expert's matrix: rows [R, a], w [N, a, b] → [R, b]. */
function project(rows: Tensor, w: Tensor, plan: DispatchPlan): Tensor {
  if (plan.kind !== 'padded') return groupedMatmul(rows, w, plan.offsets);
  const [N, inputs, outputs] = w.shape as [number, number, number];
  const slots = reshape(rows, [N, plan.capacity, inputs]);
  return reshape(matmul(slots, w), [plan.rows, outputs]);
}

/** Hidden units above 0 over the rows of kept claims, empty rows left out: int32 []. hidden [R, s]. */
export function countPositive(hidden: Tensor, plan: DispatchPlan): Tensor {
  const { engine } = hidden;
  return engine.noGrad(() =>
    engine.scope(() => {
      const perRow = sum(cast(greater(hidden, 0), 'int32'), 1); // [R]
      return sum(plan.kind === 'padded' ? select(greaterEqual(plan.rowClaim, 0), perRow, 0) : perRow);
    }),
  );
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
