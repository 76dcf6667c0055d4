// Fallbacks of the experts' linear layers over dispatched rows, their weight gradient, and the middle of the backward pass.
// They do materialise gathered rows; native kernels must not.
import type { KernelAttributes, KernelInputs, KernelOutputs, Operand } from '../contract.js';
import { activate, derivative, onlyRouted, segmentsOf, withBias } from './activation.js';
import { reshape, type Scratch } from './scratch.js';

export function groupedLinear(
  scratch: Scratch,
  { x, rows, w, bias, offsets }: KernelInputs<'groupedLinear'>,
  { out, pre }: KernelOutputs<'groupedLinear'>,
  { transposeW, activation }: KernelAttributes<'groupedLinear'>,
): void {
  const gathered = rows ? scratch.gatherRows(x, rows) : x; // [R, K], zero where the index is outside
  const product = bias || pre || activation !== 'none' ? scratch.empty(out.shape, out.dtype) : out;
  scratch.kernels.groupedMatmul({ x: gathered, w, offsets }, { out: product }, { transposeW });
  if (product === out) return;
  const segments = segmentsOf(scratch, product, offsets);
  const biased = onlyRouted(scratch, withBias(scratch, product, bias, segments), segments);
  const clean = rows && bias ? scratch.select(insideOf(scratch, rows, x.shape[0]!), biased, 0) : biased;
  if (pre) scratch.copy(clean, pre);
  scratch.copy(activate(scratch, clean, activation), out); // every activation of 0 is 0
}

export function groupedLinearWeightGrad(
  scratch: Scratch,
  { x, xRows, dy, dyRows, scale, offsets }: KernelInputs<'groupedLinearWeightGrad'>,
  { dw, dbias }: KernelOutputs<'groupedLinearWeightGrad'>,
): void {
  const inputs = rowsOf(scratch, x, xRows); // [R, K]
  const upstream = rowsOf(scratch, dy, dyRows); // [R, M]
  const scaled = scale ? scratch.binary('multiply', upstream, reshape(scale, [scale.shape[0]!, 1])) : upstream;
  const sum = dw.dtype === 'float32' ? dw : scratch.empty(dw.shape);
  scratch.kernels.groupedMatmulWeightGrad({ x: inputs, dy: scaled, offsets }, { out: sum });
  if (sum !== dw) scratch.copy(sum, dw);
  if (!dbias) return;
  const biasSum = dbias.dtype === 'float32' ? dbias : scratch.empty(dbias.shape);
  scratch.kernels.scatterAddRows({ x: scaled, indices: segmentsOf(scratch, scaled, offsets)!.groups }, { out: biasSum });
  if (biasSum !== dbias) scratch.copy(biasSum, dbias);
}

export function expertsGrad(
  scratch: Scratch,
  { pre, dHidden, weights, b2, dy, rowClaim, claimRow, offsets }: KernelInputs<'expertsGrad'>,
  { dPre, hidden, dWeights, rowWeight }: KernelOutputs<'expertsGrad'>,
  { activation }: KernelAttributes<'expertsGrad'>,
): void {
  const [rows, claims, choices] = [pre.shape[0]!, weights.shape[0]! * weights.shape[1]!, weights.shape[1]!];
  const used = reshape(scratch.compare('greaterEqual', rowClaim, 0), [rows, 1]);
  const before = scratch.cast(pre, 'float32');
  const upstream = scratch.cast(dHidden, 'float32');
  const after = scratch.select(used, activate(scratch, before, activation), 0); // [R, S]
  scratch.copy(after, hidden);
  scratch.gatherRows(reshape(weights, [claims, 1]), rowClaim, reshape(rowWeight, [rows, 1]));
  const slope = derivative(scratch, before, activation);
  const flow = slope ? scratch.binary('multiply', upstream, slope) : upstream;
  scratch.copy(scratch.select(used, flow, 0), dPre);
  if (!dWeights) return;
  // E(x)·dy = h·(dy·w2ᵀ) + b2·dy, without the output of the expert.
  const token = scratch.binary('floorDivide', rowClaim, Math.max(1, choices));
  const biases = scratch.gatherRows(scratch.cast(b2, 'float32'), segmentsOf(scratch, pre, offsets)!.groups); // [R, D]
  const fromBias = scratch.binary('multiply', biases, rowsOf(scratch, dy, token));
  const fromHidden = scratch.binary('multiply', after, upstream);
  const dots = scratch.binary('add', scratch.reduce('sum', fromHidden, 1), scratch.reduce('sum', fromBias, 1)); // [R, 1]
  scratch.gatherRows(dots, reshape(claimRow, [claims]), reshape(dWeights, [claims, 1])); // 0 for a claim without a row
}

/** x[rows] in float32, zero where the index is outside; x itself without rows. */
function rowsOf(scratch: Scratch, x: Operand, rows: Operand | null): Operand {
  const wide = scratch.cast(x, 'float32');
  return rows ? scratch.gatherRows(wide, rows) : wide;
}

/** bool [R, 1]: which indices are those of one of `count` rows. */
function insideOf(scratch: Scratch, rows: Operand, count: number): Operand {
  const inside = scratch.binary('logicalAnd', scratch.compare('greaterEqual', rows, 0), scratch.compare('less', rows, count));
  return reshape(inside, [rows.shape[0]!, 1]);
}
