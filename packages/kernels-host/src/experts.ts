// The experts over dispatched rows: groupedLinear, its weight gradient, and the middle of the backward pass. Only rows that are
// used are computed; the arithmetic is in gemm.ts.
import type { KernelAttributes } from '@xmoe/core';
import { floats, int32s, type FloatArray, type HostView, type ViewInputs, type ViewOutputs } from './host-view.js';
import { curveOf } from './activation.js';
import { gemm, matrixAt } from './gemm.js';

export function groupedLinear(
  { x, rows, w, bias, offsets }: ViewInputs<'groupedLinear'>,
  { out, pre }: ViewOutputs<'groupedLinear'>,
  { transposeW, activation }: KernelAttributes<'groupedLinear'>,
): void {
  const [source, weights, target, bounds] = [rowsOf(x, rows), floats(w), floats(out), int32s(offsets)];
  const before = pre === null ? target : floats(pre); // what the activation is applied to
  const shift = bias === null ? undefined : floats(bias);
  const [K, M] = [source.width, out.shape[1]];
  const { gate, value } = curveOf(activation, target);
  target.fill(0);
  before.fill(0);
  for (let group = 0; group < w.shape[0]; group++) {
    const used = rowsInside(bounds[group], bounds[group + 1], source);
    gemm(
      used.length, M, K,
      { data: source.data, start: 0, rowStride: K, columnStride: 1, rows: namesOf(source, used) },
      matrixAt(weights, group * K * M, K, M, transposeW),
      { data: before, start: 0, rowStride: M, columnStride: 1, rows: used },
    );
    if (shift === undefined && activation === 'none' && before === target) continue;
    for (const row of used) {
      for (let j = 0, at = row * M; j < M; j++, at++) {
        if (shift !== undefined) before[at] += shift[group * M + j];
        target[at] = value(before[at], gate(before[at]));
      }
    }
  }
}

export function groupedLinearWeightGrad(
  { x, xRows, dy, dyRows, scale, offsets }: ViewInputs<'groupedLinearWeightGrad'>,
  { dw, dbias }: ViewOutputs<'groupedLinearWeightGrad'>,
): void {
  const [target, bounds] = [floats(dw), int32s(offsets)];
  const biasSums = dbias === null ? undefined : floats(dbias);
  const [groups, K, M] = dw.shape;
  const [source, upstream] = [rowsOf(x, xRows), rowsOf(dy, dyRows, scale)];
  for (let group = 0; group < groups; group++) {
    const [from, to] = [bounds[group], bounds[group + 1]];
    const used = rowsInside(from, to, source, upstream);
    gemm(
      K, M, used.length,
      matrixAt(packRows(source, used), 0, K, used.length, true),
      matrixAt(packRows(upstream, used), 0, used.length, M, false),
      matrixAt(target, group * K * M, K, M, false),
    );
    if (biasSums !== undefined) biasSums.set(sumRows(packRows(upstream, rowsInside(from, to, upstream)), M), group * M);
  }
}

export function expertsGrad(
  { pre, dHidden, weights, b2, dy, rowClaim, claimRow, offsets }: ViewInputs<'expertsGrad'>,
  { dPre, hidden, dWeights, rowWeight }: ViewOutputs<'expertsGrad'>,
  { activation }: KernelAttributes<'expertsGrad'>,
): void {
  const [before, u, factors, claims] = [floats(pre), floats(dHidden), floats(weights), int32s(rowClaim)];
  const [flow, h, weightOfRow] = [floats(dPre), floats(hidden), floats(rowWeight)];
  const [R, S] = pre.shape;
  const { gate, value, slope } = curveOf(activation, h);
  for (let row = 0, at = 0; row < R; row++) {
    const isEmpty = claims[row] < 0;
    weightOfRow[row] = isEmpty ? 0 : factors[claims[row]];
    for (let j = 0; j < S; j++, at++) {
      const gateOfUnit = isEmpty ? 0 : gate(before[at]);
      h[at] = isEmpty ? 0 : value(before[at], gateOfUnit);
      flow[at] = isEmpty ? 0 : u[at] * slope(before[at], gateOfUnit);
    }
  }
  if (dWeights === null) return;
  const [biases, upstream, gradient, rows, bounds] = [floats(b2), floats(dy), floats(dWeights), int32s(claimRow), int32s(offsets)];
  const D = dy.shape[1];
  const K = weights.shape[1];
  const groupOf = groupsOfRows(bounds, R);
  for (let claim = 0; claim < rows.length; claim++) {
    const row = rows[claim];
    const [b, y] = [groupOf[row] * D, Math.floor(claim / K) * D];
    let dot = 0;
    for (let j = 0; row >= 0 && j < S; j++) dot += h[row * S + j] * u[row * S + j];
    for (let j = 0; row >= 0 && j < D; j++) dot += biases[b + j] * upstream[y + j];
    gradient[claim] = dot;
  }
}

/** Rows as a kernel sees them: of an array, by index where there are indices, times a factor each where there are factors. */
interface Rows {
  readonly data: FloatArray;
  readonly count: number;
  readonly width: number;
  readonly indices: Int32Array | undefined;
  readonly factors: FloatArray | undefined;
}

function rowsOf(x: HostView, indices: HostView | null, factors: HostView | null = null): Rows {
  const [count, width] = x.shape;
  return {
    data: floats(x), count, width,
    indices: indices === null ? undefined : int32s(indices),
    factors: factors === null ? undefined : floats(factors),
  };
}

/** The rows from … to − 1 that are inside of all that is given. */
function rowsInside(from: number, to: number, ...all: readonly Rows[]): Int32Array {
  const inside = new Int32Array(to - from);
  let used = 0;
  for (let row = from; row < to; row++) {
    if (all.every(({ indices, count }) => indices === undefined || (indices[row] >= 0 && indices[row] < count))) inside[used++] = row;
  }
  return inside.subarray(0, used);
}

/** Which rows of the array `used` stands for. */
function namesOf({ indices }: Rows, used: Int32Array): Int32Array {
  return indices === undefined ? used : used.map((row) => indices[row]);
}

/** The rows that `used` stands for, next to each other: [used.length, width]. */
function packRows(rows: Rows, used: Int32Array): Float64Array {
  const { data, width, factors } = rows;
  const names = namesOf(rows, used);
  const packed = new Float64Array(used.length * width);
  for (let i = 0, to = 0; i < used.length; i++) {
    const factor = factors === undefined ? 1 : factors[used[i]];
    for (let from = names[i] * width, end = from + width; from < end; from++) packed[to++] = factor * data[from];
  }
  return packed;
}

function sumRows(rows: Float64Array, width: number): Float64Array {
  const sums = new Float64Array(width);
  for (let at = 0; at < rows.length; ) for (let j = 0; j < width; j++) sums[j] += rows[at++];
  return sums;
}

function groupsOfRows(bounds: Int32Array, rows: number): Int32Array {
  const groups = new Int32Array(rows);
  for (let group = 0; group + 1 < bounds.length; group++) groups.fill(group, bounds[group], bounds[group + 1]);
  return groups;
}
