// Fallbacks of the routing primitives: threshold selection and the per-token combination of expert outputs.
import type { KernelAttributes, KernelInputs, KernelOutputs, Operand } from '../contract.js';
import { MASS_ONE, massToReach, SOFTMAX_SLACK } from '../threshold-mass.js';
import { reshape, type Scratch } from './scratch.js';

/** XMoE Algorithm 1 by sort and running sum, in whole units. */
export function thresholdSelect(
  scratch: Scratch,
  { p, mask, threshold: onDevice }: KernelInputs<'thresholdSelect'>,
  { values, indices, counts }: KernelOutputs<'thresholdSelect'>,
  { threshold }: KernelAttributes<'thresholdSelect'>,
): void {
  const [tokens, choices] = indices.shape as [number, number];
  const sorted = scratch.empty(indices.shape, 'int32');
  const largest = scratch.empty(indices.shape, p.dtype);
  scratch.kernels.topK({ x: p }, { values: largest, indices: sorted });
  const wide = scratch.cast(largest, 'float32');
  const limit = onDevice ? 0 : massToReach(threshold, p.shape[1]!);
  const all = scratch.full([tokens], choices, 'int32');
  let wanted = limit === Infinity || choices === 0 ? all : countsOf(scratch, wide, onDevice ? limitOf(scratch, onDevice, p.shape[1]!) : limit, all);
  if (onDevice) wanted = scratch.select(scratch.compare('greaterEqual', onDevice, 1), all, wanted);
  if (mask) scratch.binary('multiply', wanted, scratch.cast(reshape(mask, [tokens]), 'int32'), counts);
  else scratch.copy(wanted, counts);
  const taken = scratch.compare('less', reshape(scratch.iota(choices), [1, choices]), reshape(counts, [tokens, 1])); // [T, K]
  scratch.select(taken, sorted, -1, indices);
  scratch.select(taken, wide, 0, values);
}

/**
 * `massToReach` of a threshold below 1 that is on the device, int32 [1, 1]. t·2^30 is exact in float32, and so is its fraction: only what
 * the slack of softmax adds to it has to be compared.
 */
function limitOf(scratch: Scratch, threshold: Operand, experts: number): Operand {
  const slack = SOFTMAX_SLACK * MASS_ONE;
  const units = scratch.binary('multiply', scratch.binary('maximum', threshold, 0), MASS_ONE);
  const whole = scratch.unary('floor', units);
  const beyond = scratch.compare('greater', scratch.binary('subtract', units, whole), slack - Math.floor(slack));
  const limit = scratch.binary('add', scratch.cast(whole, 'int32'), scratch.cast(beyond, 'int32'));
  return reshape(scratch.binary('add', limit, -Math.floor(slack) - experts), [1, 1]);
}

/** int32 [T]: the place of the first sum of sorted values [T, K] that has reached the limit, plus 1; `all` where none has. */
function countsOf(scratch: Scratch, values: Operand, limit: number | Operand, all: Operand): Operand {
  const [tokens, choices] = values.shape as [number, number];
  const inside = scratch.select(scratch.compare('greater', values, 0), scratch.binary('minimum', values, 1), 0); // not NaN
  const units = scratch.cast(scratch.binary('multiply', inside, MASS_ONE), 'int32');
  const mass = scratch.empty([tokens, choices], 'int32');
  scratch.kernels.cumsum({ x: units }, { out: mass }, { exclusive: false });
  // The first one is right even if later sums pass 2^31.
  const reached = scratch.cast(scratch.compare('greaterEqual', mass, limit), 'int32');
  const first = scratch.empty([tokens], 'int32');
  scratch.kernels.argReduce({ x: reached }, { out: first }, { op: 'max', outer: tokens, size: choices, inner: 1 });
  const any = scratch.compare('greater', reshape(scratch.reduce('max', reached, 1), [tokens]), 0);
  return scratch.select(any, scratch.binary('add', first, 1), all);
}

/** Weighs each row, then adds rows to their tokens. The order per token is by row, where a native kernel goes by rank. */
export function combineExperts(
  scratch: Scratch,
  { expertOut, weights, claimRow, rowClaim }: KernelInputs<'combineExperts'>,
  { out }: KernelOutputs<'combineExperts'>,
): void {
  const { token, weight } = rowsOf(scratch, weights, claimRow, rowClaim);
  const weighted = scratch.binary('multiply', scratch.cast(expertOut, 'float32'), weight);
  const sum = scratch.empty(out.shape);
  scratch.kernels.scatterAddRows({ x: weighted, indices: token }, { out: sum });
  scratch.copy(sum, out);
}

export function combineExpertsGrad(
  scratch: Scratch,
  { expertOut, weights, claimRow, rowClaim, dy }: KernelInputs<'combineExpertsGrad'>,
  { dExpertOut, dWeights }: KernelOutputs<'combineExpertsGrad'>,
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
