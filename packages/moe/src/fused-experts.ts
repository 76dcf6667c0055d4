// The experts as one op with a gradient of its own, on the fused kernels of the contract. Forward: gather, W1, activation; W2;
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
  const own = ownRows(plan);
  const pre = recording ? engine.empty([R, hiddenSize], dtype) : null;
  const outputs = engine.scope(() => {
    const hidden = engine.empty([R, hiddenSize], dtype);
    engine.kernels.groupedLinear(
      { x, rows: rowToken, w: cast(w1, dtype), bias: b1, offsets },
      { out: hidden, pre }, { transposeW: false, activation },
    );
    const inspected = inspect ? [inspect(hidden)] : [];
    const rows = engine.empty([R, width], dtype);
    engine.kernels.groupedLinear(
      { x: hidden, rows: own, w: cast(w2, dtype), bias: b2, offsets },
      { out: rows, pre: null }, { transposeW: false, activation: 'none' },
    );
    hidden.dispose();
    return [combine(rows, weights, claimRow, rowClaim, x), ...inspected];
  });
  return { outputs, saved: pre ? [x, weights, w1, w2, b2, pre, rowToken, rowClaim, claimRow, offsets, ...(own ? [own] : [])] : [] };
}

/**
 * With u = dy·W2ᵀ per row, before the claim's weight: the weight's gradient is h·u + b2·dy, and everything else follows from u
 * and from what went into the activation. The weight comes in where rows are summed: in float32, whatever they are stored in.
 */
function backwardOf(activation: Activation, { dtype: b1DType, shape: b1Shape }: Tensor): Backward {
  return ([upstream], saved, needs) => {
    const [x, weights, w1, w2, b2, pre, rowToken, rowClaim, claimRow, offsets, own = null] = saved as [
      Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor?,
    ];
    const { engine, dtype } = x;
    const [forX, forWeights, forW1, forB1, forW2, forB2] = needs;
    const dy = upstream!;
    const perHidden = (): Tensor => engine.empty(pre.shape, dtype); // [R, s]
    const [dHidden, dPre, hidden, rowWeight] = [perHidden(), perHidden(), perHidden(), engine.empty([rowClaim.size])];
    const dWeights = forWeights ? engine.empty(weights.shape) : null;
    engine.scope(() => engine.kernels.groupedLinear(
      { x: dy, rows: rowToken, w: cast(w2, dtype), bias: null, offsets },
      { out: dHidden, pre: null }, { transposeW: true, activation: 'none' },
    ));
    engine.kernels.expertsGrad({ pre, dHidden, weights, b2, dy, rowClaim, claimRow, offsets }, { dPre, hidden, dWeights, rowWeight }, { activation });
    dHidden.dispose();
    const dw2 = forW2 || forB2 ? engine.empty(w2.shape, w2.dtype) : null;
    const db2 = forB2 ? engine.empty(b2.shape, b2.dtype) : null;
    if (dw2) engine.kernels.groupedLinearWeightGrad({ x: hidden, xRows: null, dy, dyRows: rowToken, scale: rowWeight, offsets }, { dw: dw2, dbias: db2 });
    hidden.dispose();
    const dw1 = forW1 || forB1 ? engine.empty(w1.shape, w1.dtype) : null;
    const db1 = forB1 ? engine.empty(b1Shape, b1DType) : null;
    if (dw1) engine.kernels.groupedLinearWeightGrad({ x, xRows: rowToken, dy: dPre, dyRows: null, scale: rowWeight, offsets }, { dw: dw1, dbias: db1 });
    const dx = forX
      ? engine.scope(() => {
          const rows = engine.empty([rowClaim.size, x.shape[1]!], dtype);
          engine.kernels.groupedLinear(
            { x: dPre, rows: own, w: cast(w1, dtype), bias: null, offsets },
            { out: rows, pre: null }, { transposeW: true, activation: 'none' },
          );
          return combine(rows, weights, claimRow, rowClaim, x);
        })
      : null;
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
