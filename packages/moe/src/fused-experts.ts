// The experts as one op with a gradient of its own, on two fused kernels of the contract. Forward: gather, W1, activation, W2;
// combine. Neither gathered rows, nor hidden units after the activation, nor expert outputs are kept for the backward pass:
// docs/decisions/0012. Which row holds what is the plan's matter.
import { customGradient, cast, less, select, type Activation, type Backward, type Tensor } from '@xmoe/core';
import type { ExpertWeights } from './experts.js';
import type { DispatchPlan } from './plan.js';

export interface FusedExperts {
  /** [T, d] float */
  readonly x: Tensor;
  /** float32 [T, K] */
  readonly weights: Tensor;
  readonly plan: DispatchPlan;
  readonly experts: ExpertWeights;
  readonly activation: Activation;
  /** Looks at the hidden units after the activation, [R, s], zero in empty rows. What it returns is returned. Unrecorded. */
  readonly inspect: ((hidden: Tensor) => Tensor) | null;
}

/** y [T, d] in the dtype of x, and what `inspect` gave. Weights and biases are float32 or in the dtype of x. */
export function fusedExperts(given: FusedExperts): { output: Tensor; inspected: Tensor | null } {
  const { x, weights, activation } = given;
  const { w1, b1, w2, b2 } = given.experts;
  const recording = x.engine.tape !== undefined;
  const [output, inspected = null] = customGradient('applyExperts', [x, weights, w1, b1, w2, b2], () => forward(given, recording), backwardOf(activation, b1));
  return { output: output!, inspected };
}

function forward({ x, weights, plan, experts, activation, inspect }: FusedExperts, recording: boolean): { outputs: readonly Tensor[]; saved: readonly Tensor[] } {
  const { engine, dtype } = x;
  const { w1, b1, w2, b2 } = experts;
  const { rows: R, rowToken, rowClaim, claimRow, offsets } = plan;
  const [width, hiddenSize] = w1.shape.slice(1) as [number, number];
  const rowSelf = ownRows(plan);
  const pre = recording ? engine.empty([R, hiddenSize], dtype) : null;
  const outputs = engine.scope(() => {
    const hidden = inspect ? engine.empty([R, hiddenSize], dtype) : null;
    const rows = engine.empty([R, width], dtype);
    engine.scope(() => engine.kernels.expertsForward(
      { x, rowToken, rowSelf, w1: cast(w1, dtype), b1, w2: cast(w2, dtype), b2, offsets }, { out: rows, pre, hidden }, { activation },
    ));
    return [combine(rows, weights, claimRow, rowClaim, x), ...(inspect ? [inspect(hidden!)] : [])];
  });
  return { outputs, saved: pre ? [x, weights, w1, w2, b2, pre, rowToken, rowClaim, claimRow, offsets, ...(rowSelf ? [rowSelf] : [])] : [] };
}

/**
 * With u = dy·W2ᵀ per row, before the claim's weight: the weight's gradient is h·u + b2·dy, and everything else follows from u
 * and from what went into the activation. The weight comes in where rows are summed: in float32, whatever they are stored in.
 */
function backwardOf(activation: Activation, { dtype: b1DType, shape: b1Shape }: Tensor): Backward {
  return ([upstream], saved, needs) => {
    const [x, weights, w1, w2, b2, pre, rowToken, rowClaim, claimRow, offsets, rowSelf = null] = saved as [
      Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor?,
    ];
    const { engine, dtype } = x;
    const [forX, forWeights, forW1, forB1, forW2, forB2] = needs;
    const like = ({ shape, dtype: own }: Tensor): Tensor => engine.empty(shape, own);
    const [dWeights, dw1, dw2] = [forWeights ? engine.empty(weights.shape) : null, forW1 ? like(w1) : null, forW2 ? like(w2) : null];
    const [db1, db2] = [forB1 ? engine.empty(b1Shape, b1DType) : null, forB2 ? like(b2) : null];
    const dx = engine.scope(() => {
      const rowGradients = forX ? engine.empty([rowClaim.size, x.shape[1]!], dtype) : null;
      engine.scope(() => engine.kernels.expertsBackward(
        { x, pre, weights, w1: cast(w1, dtype), w2: cast(w2, dtype), b2, dy: upstream!, rowToken, rowSelf, rowClaim, claimRow, offsets },
        { rowGradients, dWeights, dw1, db1, dw2, db2 }, { activation },
      ));
      return rowGradients && combine(rowGradients, weights, claimRow, rowClaim, x);
    });
    return [dx, dWeights, dw1, db1, dw2, db2];
  };
}

/** Σ_j weights[t, j] · rows[claimRow[t, j]] in the shape and dtype of `like`. */
function combine(rows: Tensor, weights: Tensor, claimRow: Tensor, rowClaim: Tensor, like: Tensor): Tensor {
  const out = like.engine.empty(like.shape, like.dtype);
  like.engine.kernels.combineExperts({ expertOut: rows, weights, claimRow, rowClaim }, { out });
  return out;
}

/**
 * int32 [R]: each row itself, −1 for an empty one. Empty slots lie between the rows of the padded path; so marked they cost
 * nothing. Null where empty rows come last: those cost nothing anyway.
 */
function ownRows({ dispatch, rowClaim, rows }: DispatchPlan): Tensor | null {
  if (dispatch !== 'padded') return null;
  return rowClaim.engine.scope(() => select(less(rowClaim, 0), -1, rowClaim.engine.iota(rows)));
}
