// The experts' forward and backward pass: the kernels of experts.ts one after the other, on arrays of their own for what passes between them.
import type { KernelAttributes } from '@xmoe/core';
import { expertsGrad, groupedLinear, groupedLinearWeightGrad } from './experts.js';
import { floats, type HostView, type ViewInputs, type ViewOutputs } from './host-view.js';

export function expertsForward(
  { x, rowToken, rowSelf, w1, b1, w2, b2, offsets }: ViewInputs<'expertsForward'>,
  { out, pre, hidden }: ViewOutputs<'expertsForward'>,
  { activation }: KernelAttributes<'expertsForward'>,
): void {
  const units = hidden ?? emptyLike(x, [rowToken.shape[0], w1.shape[2]]);
  groupedLinear({ x, rows: rowToken, w: w1, bias: b1, offsets }, { out: units, pre }, { transposeW: false, activation });
  groupedLinear({ x: units, rows: rowSelf, w: w2, bias: b2, offsets }, { out, pre: null }, { transposeW: false, activation: 'none' });
}

export function expertsBackward(
  { x, pre, weights, w1, w2, b2, dy, rowToken, rowSelf, rowClaim, claimRow, offsets }: ViewInputs<'expertsBackward'>,
  { rowGradients, dWeights, dw1, db1, dw2, db2 }: ViewOutputs<'expertsBackward'>,
  { activation }: KernelAttributes<'expertsBackward'>,
): void {
  const [dHidden, dPre, hidden] = [emptyLike(x, pre.shape), emptyLike(x, pre.shape), emptyLike(x, pre.shape)];
  const rowWeight = emptyLike(x, rowClaim.shape);
  groupedLinear({ x: dy, rows: rowToken, w: w2, bias: null, offsets }, { out: dHidden, pre: null }, { transposeW: true, activation: 'none' });
  expertsGrad({ pre, dHidden, weights, b2, dy, rowClaim, claimRow, offsets }, { dPre, hidden, dWeights, rowWeight }, { activation });
  if (dw2 || db2) {
    groupedLinearWeightGrad({ x: hidden, xRows: null, dy, dyRows: rowToken, scale: rowWeight, offsets }, { dw: dw2 ?? emptyLike(x, w2.shape), dbias: db2 });
  }
  if (dw1 || db1) {
    groupedLinearWeightGrad({ x, xRows: rowToken, dy: dPre, dyRows: null, scale: rowWeight, offsets }, { dw: dw1 ?? emptyLike(x, w1.shape), dbias: db1 });
  }
  if (rowGradients) {
    groupedLinear({ x: dPre, rows: rowSelf, w: w1, bias: null, offsets }, { out: rowGradients, pre: null }, { transposeW: true, activation: 'none' });
  }
}

/** Of the precision of `view`: float64 where a float32 kernel is run in it. */
function emptyLike(view: HostView, shape: readonly number[]): HostView {
  const length = shape.reduce((product, extent) => product * extent, 1);
  return { data: floats(view) instanceof Float64Array ? new Float64Array(length) : new Float32Array(length), shape, dtype: 'float32' };
}
