// The experts' forward and backward pass of the fused kernels that they are made of, so that a backend has to write only those. What passes
// from one to the next goes through memory, and is freed as soon as it was read.
import type { KernelAttributes, KernelInputs, KernelOutputs, Operand } from '../contract.js';
import type { Scratch } from './scratch.js';

export function expertsForward(
  scratch: Scratch,
  { x, rowToken, rowSelf, w1, b1, w2, b2, offsets }: KernelInputs<'expertsForward'>,
  { out, pre, hidden }: KernelOutputs<'expertsForward'>,
  { activation }: KernelAttributes<'expertsForward'>,
): void {
  const units = hidden ?? scratch.empty([rowToken.shape[0]!, w1.shape[2]!], x.dtype);
  scratch.fused.groupedLinear({ x, rows: rowToken, w: w1, bias: b1, offsets }, { out: units, pre }, { transposeW: false, activation });
  scratch.fused.groupedLinear({ x: units, rows: rowSelf, w: w2, bias: b2, offsets }, { out, pre: null }, { transposeW: false, activation: 'none' });
}

export function expertsBackward(
  scratch: Scratch,
  { x, pre, weights, w1, w2, b2, dy, rowToken, rowSelf, rowClaim, claimRow, offsets }: KernelInputs<'expertsBackward'>,
  { rowGradients, dWeights, dw1, db1, dw2, db2 }: KernelOutputs<'expertsBackward'>,
  { activation }: KernelAttributes<'expertsBackward'>,
): void {
  const { groupedLinear, groupedLinearWeightGrad, expertsGrad } = scratch.fused;
  const matrix = (wanted: Operand | null, like: Operand): Operand => wanted ?? scratch.empty(like.shape);
  const [dPre, rowWeight] = [scratch.empty(pre.shape, x.dtype), scratch.empty(rowClaim.shape)];
  scratch.scope(() => {
    const hidden = scratch.empty(pre.shape, x.dtype);
    scratch.scope(() => {
      const dHidden = scratch.empty(pre.shape, x.dtype);
      groupedLinear({ x: dy, rows: rowToken, w: w2, bias: null, offsets }, { out: dHidden, pre: null }, { transposeW: true, activation: 'none' });
      expertsGrad({ pre, dHidden, weights, b2, dy, rowClaim, claimRow, offsets }, { dPre, hidden, dWeights, rowWeight }, { activation });
    });
    if (dw2 || db2) {
      groupedLinearWeightGrad({ x: hidden, xRows: null, dy, dyRows: rowToken, scale: rowWeight, offsets }, { dw: matrix(dw2, w2), dbias: db2 });
    }
  });
  if (dw1 || db1) {
    scratch.scope(() => groupedLinearWeightGrad({ x, xRows: rowToken, dy: dPre, dyRows: null, scale: rowWeight, offsets }, { dw: matrix(dw1, w1), dbias: db1 }));
  }
  if (rowGradients) {
    groupedLinear({ x: dPre, rows: rowSelf, w: w1, bias: null, offsets }, { out: rowGradients, pre: null }, { transposeW: true, activation: 'none' });
  }
}
