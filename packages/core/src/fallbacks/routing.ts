// Fallbacks of the routing primitives: threshold selection and the per-token combination of expert outputs.
import type { Operand } from '../contract.js';
import { reshape, type Scratch } from './scratch.js';

/** XMoE Algorithm 1 by sort and running sum: expert j is taken when the mass before it is below t. */
export function thresholdSelect(
  scratch: Scratch,
  p: Operand,
  mask: Operand | null,
  values: Operand,
  indices: Operand,
  counts: Operand,
  { threshold }: { threshold: number },
): void {
  const [tokens, choices] = indices.shape as [number, number];
  const sorted = scratch.empty(indices.shape, 'int32');
  const largest = scratch.empty(indices.shape, p.dtype);
  scratch.kernels.topK(p, largest, sorted);
  const wide = scratch.cast(largest, 'float32');
  // Float sums may reach 1 early: all K is said outright.
  const wanted = threshold >= 1 ? scratch.full([tokens], choices, 'int32') : countsOf(scratch, wide, threshold);
  if (mask) scratch.binary('multiply', wanted, scratch.cast(reshape(mask, [tokens]), 'int32'), counts);
  else scratch.copy(wanted, counts);
  const taken = scratch.compare('less', reshape(scratch.iota(choices), [1, choices]), reshape(counts, [tokens, 1])); // [T, K]
  scratch.select(taken, sorted, -1, indices);
  scratch.select(taken, wide, 0, values);
}

/** int32 [T]: how many of the sorted values [T, K] have less than t before them, at least 1 of any. */
function countsOf(scratch: Scratch, values: Operand, threshold: number): Operand {
  const [tokens, choices] = values.shape as [number, number];
  const mass = scratch.empty([tokens, choices]);
  scratch.kernels.cumsum(values, mass, { exclusive: true });
  const below = scratch.cast(scratch.compare('less', mass, threshold), 'int32');
  const count = reshape(scratch.reduce('sum', below, 1), [tokens]);
  return scratch.binary('maximum', count, Math.min(1, choices));
}

/** Weighs each row, then adds rows to their tokens. The order per token is by row, where a native kernel goes by rank. */
export function combineExperts(
  scratch: Scratch,
  expertOut: Operand,
  weights: Operand,
  claimRow: Operand,
  rowClaim: Operand,
  out: Operand,
): void {
  const { token, weight } = rowsOf(scratch, weights, claimRow, rowClaim);
  const weighted = scratch.binary('multiply', scratch.cast(expertOut, 'float32'), weight);
  const sum = scratch.empty(out.shape);
  scratch.kernels.scatterAddRows(weighted, token, sum);
  scratch.copy(sum, out);
}

export function combineExpertsGrad(
  scratch: Scratch,
  expertOut: Operand,
  weights: Operand,
  claimRow: Operand,
  rowClaim: Operand,
  dy: Operand,
  dExpertOut: Operand,
  dWeights: Operand,
): void {
  const { token, weight } = rowsOf(scratch, weights, claimRow, rowClaim);
  const upstream = scratch.gatherRows(scratch.cast(dy, 'float32'), token); // [R, D]
  scratch.copy(scratch.binary('multiply', upstream, weight), dExpertOut);
  const dots = scratch.reduce('sum', scratch.binary('multiply', upstream, scratch.cast(expertOut, 'float32')), 1); // [R, 1]
  const claims = claimRow.shape[0]! * claimRow.shape[1]!;
  scratch.gatherRows(dots, reshape(claimRow, [claims]), reshape(dWeights, [claims, 1]));
}

/** Token int32 [R] (−1 for an empty row) and weight float32 [R, 1] (0 for an empty row) of each row. */
function rowsOf(scratch: Scratch, weights: Operand, claimRow: Operand, rowClaim: Operand): { token: Operand; weight: Operand } {
  const [tokens, choices] = claimRow.shape as [number, number];
  // −1 floor-divided by K ≥ 1 stays −1.
  const token = scratch.binary('floorDivide', rowClaim, Math.max(1, choices));
  const weight = scratch.gatherRows(reshape(weights, [tokens * choices, 1]), rowClaim);
  return { token, weight };
}
