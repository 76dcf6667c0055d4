// Ops of mixture-of-experts layers: threshold selection and the weighted combination of expert outputs.
import { XMoEError } from '../errors.js';
import { Tensor } from '../tensor.js';
import { engineOf, requireDType, requireExtent, requireFloat, requireNumber, requireOptions, requireRank, requireSameEngine } from './check.js';
import { addAlongLast } from './indexing.js';
import { view } from './view.js';

export interface ThresholdSelection {
  /** p of the experts that the token takes, descending, then 0: float32 [T, K]. Differentiable. */
  values: Tensor;
  /** Their ids, then −1: int32 [T, K]. */
  indices: Tensor;
  /** How many it takes: int32 [T], 1 … K; 0 for a masked token. */
  counts: Tensor;
}

export interface ThresholdSelectOptions {
  /** K, the most experts of one token. Default: N. */
  readonly choices?: number;
  /** bool [T]: a token whose entry is false takes none. */
  readonly mask?: Tensor | null;
}

/**
 * XMoE Algorithm 1, Eq. 5: the fewest experts whose probabilities reach t. p float32 [T, N]. t ≤ 0 takes the first, t ≥ 1 all K. N equal
 * probabilities and t = j / N take j experts: a sum within 1e-6 + N·2^-30 of t has reached it, on every backend. t may be a tensor,
 * float32 of one element: it has no gradient.
 */
export function thresholdSelect(p: Tensor, threshold: number | Tensor, options: ThresholdSelectOptions = {}): ThresholdSelection {
  const op = 'thresholdSelect';
  const engine = engineOf(op, 'p', p);
  requireRank(op, 'p', p, 2);
  requireDType(op, 'p', p, 'float32');
  const [tokens, experts] = p.shape as [number, number];
  const onDevice = threshold instanceof Tensor;
  if (onDevice) {
    requireSameEngine(op, p, threshold);
    requireDType(op, 'the threshold', threshold, 'float32');
    requireExtent(op, 'the size of the threshold', threshold.size, 1);
  } else requireNumber(op, 'the threshold', threshold);
  requireOptions(op, options);
  const { choices = experts, mask = null } = options;
  if (!onDevice && Number.isNaN(threshold)) throw new XMoEError('value', 'the threshold is NaN', { op, hint: 'pass a number; t ≥ 1 takes every expert' });
  if (!Number.isInteger(choices) || choices < 0 || choices > experts) {
    throw new XMoEError('value', `choices is ${choices}, there are ${experts} experts`, { op, hint: `pass a whole number from 0 to ${experts}` });
  }
  if (mask) {
    requireSameEngine(op, p, mask);
    requireDType(op, 'mask', mask, 'bool');
    requireExtent(op, 'the size of mask', mask.size, tokens);
  }
  const values = engine.empty([tokens, choices]);
  const indices = engine.empty([tokens, choices], 'int32');
  const counts = engine.empty([tokens], 'int32');
  const inputs = { p, mask: mask ? view(mask, [tokens]) : null, threshold: onDevice ? view(threshold, [1]) : null };
  engine.kernels.thresholdSelect(inputs, { values, indices, counts }, { threshold: onDevice ? 0 : threshold });
  engine.tape?.record({ op, inputs: [p], outputs: [values], saved: [indices], backward: ([dy], [at]) => [addAlongLast(dy!, at!, experts)] });
  return { values, indices, counts };
}

/**
 * out[t] = Σ_j weights[t, j] · expertOut[claimRow[t, j]]. expertOut [R, D], weights float32 [T, K], claimRow int32 [T, K]
 * (−1: no row), rowClaim int32 [R] (t·K + j, −1: empty row) → [T, D].
 */
export function combineExperts(expertOut: Tensor, weights: Tensor, claimRow: Tensor, rowClaim: Tensor): Tensor {
  const op = 'combineExperts';
  const engine = engineOf(op, 'expertOut', expertOut);
  requireRank(op, 'expertOut', expertOut, 2);
  requireFloat(op, 'expertOut', expertOut);
  requireSameEngine(op, expertOut, weights, claimRow, rowClaim);
  requireRank(op, 'weights', weights, 2);
  requireDType(op, 'weights', weights, 'float32');
  requireRank(op, 'claimRow', claimRow, 2);
  requireDType(op, 'claimRow', claimRow, 'int32');
  requireExtent(op, 'the number of rows of claimRow', claimRow.shape[0]!, weights.shape[0]!);
  requireExtent(op, 'the number of columns of claimRow', claimRow.shape[1]!, weights.shape[1]!);
  requireRank(op, 'rowClaim', rowClaim, 1);
  requireDType(op, 'rowClaim', rowClaim, 'int32');
  requireExtent(op, 'the size of rowClaim', rowClaim.size, expertOut.shape[0]!);
  const out = engine.empty([weights.shape[0]!, expertOut.shape[1]!], expertOut.dtype);
  engine.kernels.combineExperts({ expertOut, weights, claimRow, rowClaim }, { out });
  engine.tape?.record({
    op,
    inputs: [expertOut, weights],
    outputs: [out],
    saved: [expertOut, weights, claimRow, rowClaim],
    backward: ([dy], [rows, w, rowOfClaim, claimOfRow]) => {
      const dRows = engine.empty(rows!.shape, rows!.dtype);
      const dWeights = engine.empty(w!.shape);
      engine.kernels.combineExpertsGrad(
        { expertOut: rows!, weights: w!, claimRow: rowOfClaim!, rowClaim: claimOfRow!, dy: dy! },
        { dExpertOut: dRows, dWeights },
      );
      return [dRows, dWeights];
    },
  });
  return out;
}
