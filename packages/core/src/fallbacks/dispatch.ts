// Fallback of dispatchClaims: stable sorts by several keys (the last key first), counts and running sums. Integers only.
import type { KernelAttributes, KernelInputs, KernelOutputs, Operand } from '../contract.js';
import { reshape, type Scratch } from './scratch.js';

/** A claim is the flat index t·K + j of token t's choice j; the arrays over claims are flat. */
interface Claims {
  readonly count: number;
  readonly choices: number;
  readonly experts: number;
  /** int32 [T·K]: N for unused claims, so that they sort last. */
  readonly ids: Operand;
  /** float32 [T·K], or null when the rank alone decides. */
  readonly scores: Operand | null;
}

export function dispatchClaims(
  scratch: Scratch,
  { expertIds, scores }: KernelInputs<'dispatchClaims'>,
  { rowClaim, rowToken, claimRow, offsets, wanted, load }: KernelOutputs<'dispatchClaims'>,
  { dispatch, rankOnly }: KernelAttributes<'dispatchClaims'>,
): void {
  const [tokens, choices] = expertIds.shape as [number, number];
  const [count, experts, rows] = [tokens * choices, load.shape[0]!, rowClaim.shape[0]!];
  const given = reshape(expertIds, [count]);
  const ids = unusedLast(scratch, given, experts);
  const claims: Claims = { count, choices, experts, ids, scores: rankOnly ? null : reshape(scores, [count]) };
  scratch.kernels.bincount({ x: given }, { out: wanted });
  if (dispatch === 'padded') padRows(scratch, claims, wanted, rowClaim, offsets, load);
  else if (dispatch === 'grouped') {
    offsetsOf(scratch, ids, offsets);
    scratch.copy(wanted, load);
    placeRows(scratch, sortByKey(scratch, ids), offsets, rowClaim);
  } else budgetRows(scratch, claims, rowClaim, offsets, load);
  scratch.binary('floorDivide', rowClaim, Math.max(1, choices), rowToken); // −1 stays −1
  // The inverse of rowClaim: rows counted from 1 land on their claims, the others stay 0.
  const numbers = scratch.binary('add', scratch.iota(rows), 1);
  const fromOne = scratch.empty([count, 1], 'int32');
  scratch.kernels.scatterAddRows({ x: reshape(numbers, [rows, 1]), indices: rowClaim }, { out: fromOne });
  scratch.binary('subtract', reshape(fromOne, [tokens, choices]), 1, claimRow);
}

/** ids with `experts` in place of every id that is no expert's. */
function unusedLast(scratch: Scratch, ids: Operand, experts: number): Operand {
  const used = scratch.binary('logicalAnd', scratch.compare('greaterEqual', ids, 0), scratch.compare('less', ids, experts));
  return scratch.select(used, ids, experts);
}

/** C slots per expert. */
function padRows(scratch: Scratch, claims: Claims, wanted: Operand, rowClaim: Operand, offsets: Operand, load: Operand): void {
  const { choices, experts, ids } = claims;
  const capacity = Math.floor(rowClaim.shape[0]! / Math.max(1, experts));
  const order = byPriority(scratch, claims, scratch.binary('multiply', ids, choices)); // by expert, then priority
  const starts = scratch.empty([1, experts], 'int32');
  scratch.kernels.cumsum({ x: reshape(wanted, [1, experts]) }, { out: starts }, { exclusive: true });
  const slots = reshape(scratch.iota(capacity), [1, capacity]);
  const places = scratch.binary('add', reshape(starts, [experts, 1]), slots); // [N, C] in the sorted claims
  const used = scratch.compare('less', slots, reshape(wanted, [experts, 1])); // [N, C]
  const placed = pick(scratch, order, reshape(places, [experts * capacity]));
  scratch.select(used, reshape(placed, [experts, capacity]), -1, reshape(rowClaim, [experts, capacity]));
  scratch.kernels.iota({}, { out: offsets }, { start: 0, step: capacity });
  scratch.binary('minimum', wanted, capacity, load);
}

/** The best claims of the layer, by expert, then priority. */
function budgetRows(scratch: Scratch, claims: Claims, rowClaim: Operand, offsets: Operand, load: Operand): void {
  const { count, choices, experts, ids } = claims;
  const unused = scratch.compare('equal', ids, experts);
  const order = byPriority(scratch, claims, scratch.binary('multiply', scratch.cast(unused, 'int32'), choices)); // unused ones last
  const best = scratch.empty([Math.min(count, rowClaim.shape[0]!)], 'int32');
  scratch.kernels.slice({ x: order }, { out: best }, { begin: [0] });
  const bestIds = pick(scratch, ids, best);
  scratch.kernels.bincount({ x: bestIds }, { out: load });
  offsetsOf(scratch, bestIds, offsets);
  placeRows(scratch, pick(scratch, best, sortByKey(scratch, bestIds)), offsets, rowClaim);
}

/** Claims by `major` + rank, then by falling score, then by claim: int32 [T·K]. The paper's p − i (Section 3.2), exactly. */
function byPriority(scratch: Scratch, { count, choices, scores }: Claims, major: Operand): Operand {
  const tokens = count / Math.max(1, choices);
  const key = reshape(scratch.binary('add', reshape(major, [tokens, choices]), reshape(scratch.iota(choices), [1, choices])), [count]);
  if (!scores) return sortByKey(scratch, key);
  const byScore = sortByKey(scratch, scratch.unary('negate', scores));
  return pick(scratch, byScore, sortByKey(scratch, pick(scratch, key, byScore)));
}

function sortByKey(scratch: Scratch, keys: Operand): Operand {
  const permutation = scratch.empty(keys.shape, 'int32');
  scratch.kernels.sortByKey({ keys }, { permutation });
  return permutation;
}

/** Where each expert begins among ids sorted with N last. */
function offsetsOf(scratch: Scratch, ids: Operand, offsets: Operand): void {
  const counts = scratch.empty(offsets.shape, 'int32'); // [N + 1]: the unused ones too
  scratch.kernels.bincount({ x: ids }, { out: counts });
  const row = [1, offsets.shape[0]!];
  scratch.kernels.cumsum({ x: reshape(counts, row) }, { out: reshape(offsets, row) }, { exclusive: true });
}

/** The first offsets[N] of `order` in their rows, then −1. */
function placeRows(scratch: Scratch, order: Operand, offsets: Operand, rowClaim: Operand): void {
  const used = scratch.empty([1], 'int32');
  scratch.kernels.slice({ x: offsets }, { out: used }, { begin: [offsets.shape[0]! - 1] });
  const row = scratch.iota(rowClaim.shape[0]!);
  scratch.select(scratch.compare('less', row, used), pick(scratch, order, row), -1, rowClaim);
}

/** x[indices], both of one axis; 0 where the index is outside. */
function pick(scratch: Scratch, x: Operand, indices: Operand): Operand {
  return reshape(scratch.gatherRows(reshape(x, [x.shape[0]!, 1]), indices), indices.shape);
}
