// Fallbacks of the routing primitives: threshold selection and the per-token combination of expert outputs.
import type { Operand } from '../contract.js';
import { reshape, type Scratch } from './scratch.js';

/** XMoE Algorithm 1 by sort and running sum: expert j is taken when the mass before it is below t. */
export function thresholdSelect(
  scratch: Scratch,
  p: Operand,
  values: Operand,
  indices: Operand,
  counts: Operand,
  { threshold }: { threshold: number },
): void {
  const [tokens, experts] = p.shape as [number, number];
  scratch.kernels.topK(p, values, indices);
  if (threshold >= 1) {
    // Float sums may reach 1 early: all N is said outright.
    scratch.kernels.fill(counts, { value: experts });
    return;
  }
  const mass = scratch.empty([tokens, experts]);
  scratch.kernels.cumsum(values, mass, { exclusive: true });
  const taken = scratch.cast(scratch.compare('less', mass, threshold), 'int32');
  const wanted = scratch.reduce('sum', taken, 1);
  scratch.binary('maximum', reshape(wanted, [tokens]), 1, counts);
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
