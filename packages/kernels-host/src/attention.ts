// attention and its gradient, block by block of query rows: never more than [32, Tk] scores at once. The backward pass makes
// the probabilities again from stats (Dao et al. 2022, Algorithm 4) and the dropout mask from its key.
import { fillUniform, LOWEST_FLOAT32, type AttentionOptions } from '@xmoe/core/backend';
import { bools, floats, uint32s, type FloatArray, type HostView, type ViewInputs, type ViewOutputs } from './host-view.js';
import { gemm, matrixAt, type Matrix } from './gemm.js';

const BLOCK_ROWS = 32;

interface Plan extends AttentionOptions {
  readonly Tq: number;
  readonly Tk: number;
  readonly D: number;
  readonly seen: Uint8Array | undefined;
  readonly key: Uint32Array | undefined;
  /** Scores are rounded as stored statistics are: else the largest would not be the one that was stored. */
  readonly round: (score: number) => number;
  readonly scores: Float64Array;
  /** Factor on each probability of a row: 1 / (1 − rate) or 0. */
  readonly kept: Float64Array;
}

function createPlan(q: HostView, k: HostView, keyMask: HostView | null, key: HostView | null, stats: HostView, options: AttentionOptions): Plan {
  const [, Tq, D] = q.shape;
  const Tk = k.shape[1];
  return {
    ...options,
    Tq, Tk, D,
    seen: keyMask === null ? undefined : bools(keyMask),
    key: key === null || options.dropoutRate === 0 ? undefined : uint32s(key),
    round: floats(stats) instanceof Float64Array ? (score) => score : Math.fround,
    scores: new Float64Array(BLOCK_ROWS * Tk),
    kept: new Float64Array(Tk).fill(1),
  };
}

export function attention(
  { q, k, v, keyMask, key }: ViewInputs<'attention'>,
  { out, stats }: ViewOutputs<'attention'>,
  attributes: AttentionOptions,
): void {
  const plan = createPlan(q, k, keyMask, key, stats, attributes);
  const { Tq, Tk, D, scores } = plan;
  const [queries, keys, values, target, statistics] = [floats(q), floats(k), seenRows(floats(v), plan), floats(out), floats(stats)];
  eachBlock(plan, q.shape[0], (head, first, rows, visible) => {
    scoreBlock(plan, queries, keys, head, first, rows, visible);
    for (let row = 0; row < rows; row++) {
      const query = head * Tq + first + row;
      softmaxRow(scores, row * Tk, visible, statistics, 2 * query);
      dropRow(plan, query);
      for (let j = 0, at = row * Tk; j < visible; j++, at++) scores[at] *= plan.kept[j];
    }
    gemm(rows, D, visible, scoreMatrix(plan), matrixAt(values, head * Tk * D, Tk, D, false), rowsAt(target, head * Tq + first, D));
  });
}

export function attentionGrad(
  { q, k, v, keyMask, key, out, stats, dout }: ViewInputs<'attentionGrad'>,
  { dq, dk, dv }: ViewOutputs<'attentionGrad'>,
  attributes: AttentionOptions,
): void {
  const plan = createPlan(q, k, keyMask, key, stats, attributes);
  const { Tq, Tk, D, scores } = plan;
  const [queries, keys, values] = [floats(q), seenRows(floats(k), plan), seenRows(floats(v), plan)];
  const [results, upstream] = [floats(out), floats(dout)];
  const [statistics, queryGrad, keyGrad, valueGrad] = [floats(stats), floats(dq), floats(dk), floats(dv)];
  keyGrad.fill(0);
  valueGrad.fill(0);
  const flows = new Float64Array(scores.length);
  const [scoresT, flowsT] = [transposed(plan, scores), transposed(plan, flows)];
  eachBlock(plan, q.shape[0], (head, first, rows, visible) => {
    const firstRow = head * Tq + first;
    const keyRows = matrixAt(keys, head * Tk * D, Tk, D, false);
    const doutRows = rowsAt(upstream, firstRow, D);
    scoreBlock(plan, queries, keys, head, first, rows, visible);
    gemm(rows, visible, D, doutRows, matrixAt(values, head * Tk * D, D, Tk, true), { ...scoreMatrix(plan), data: flows });
    for (let row = 0; row < rows; row++) {
      const query = firstRow + row;
      dropRow(plan, query);
      const delta = dotRow(upstream, results, query * D, D);
      backwardRow(plan, flows, row * Tk, visible, { peak: statistics[2 * query], inverse: statistics[2 * query + 1], delta });
    }
    gemm(rows, D, visible, { ...scoreMatrix(plan), data: flows }, keyRows, rowsAt(queryGrad, firstRow, D));
    gemm(visible, D, rows, flowsT, rowsAt(queries, firstRow, D), rowsAt(keyGrad, head * Tk, D), true);
    gemm(visible, D, rows, scoresT, doutRows, rowsAt(valueGrad, head * Tk, D), true);
  });
}

/** Turns one row of scores into kept probabilities, and of their gradients into those of q·k. */
function backwardRow(
  plan: Plan, flows: Float64Array, at: number, visible: number, { peak, inverse, delta }: { peak: number; inverse: number; delta: number },
): void {
  const { scores, kept, scale } = plan;
  for (let j = 0; j < visible; j++, at++) {
    const probability = Math.exp(scores[at] - peak) * inverse;
    flows[at] = probability * (flows[at] * kept[j] - delta) * scale;
    scores[at] = probability * kept[j];
  }
}

/** Keys or values with zeros where nothing may see them: a probability of 0 times NaN would be NaN. */
function seenRows(x: FloatArray, { seen, heads, Tk, D }: Plan): FloatArray {
  if (seen === undefined) return x;
  const copy = x.slice();
  for (let row = 0; row * D < copy.length; row++) {
    if (seen[Math.floor(row / (heads * Tk)) * Tk + (row % Tk)] === 0) copy.fill(0, row * D, (row + 1) * D);
  }
  return copy;
}

/** Calls `visit` per block of query rows; `visible`: how many leading keys any of its rows can see. */
function eachBlock(
  plan: Plan, heads: number, visit: (head: number, first: number, rows: number, visible: number) => void,
): void {
  for (let head = 0; head < heads; head++) {
    for (let first = 0; first < plan.Tq; first += BLOCK_ROWS) {
      const rows = Math.min(BLOCK_ROWS, plan.Tq - first);
      visit(head, first, rows, visibleKeys(plan, first + rows - 1));
    }
  }
}

function visibleKeys({ causal, Tq, Tk }: Plan, query: number): number {
  return causal ? Math.max(0, Math.min(Tk, query + 1 + Tk - Tq)) : Tk;
}

/** scores = scale·q·kᵀ of the block, −∞ where a key is not seen. */
function scoreBlock(
  plan: Plan, queries: FloatArray, keys: FloatArray, head: number, first: number, rows: number, visible: number,
): void {
  const { Tq, Tk, D, seen, scores, scale, round } = plan;
  const keysT = matrixAt(keys, head * Tk * D, D, Tk, true);
  gemm(rows, visible, D, rowsAt(queries, head * Tq + first, D), keysT, scoreMatrix(plan));
  const mask = Math.floor(head / plan.heads) * Tk;
  for (let row = 0; row < rows; row++) {
    const limit = visibleKeys(plan, first + row);
    for (let j = 0, at = row * Tk; j < visible; j++, at++) {
      scores[at] = j < limit && (seen === undefined || seen[mask + j] !== 0) ? round(scores[at] * scale) : -Infinity;
    }
  }
}

/** Softmax in place; writes the largest score and the inverse of the sum. A row that sees nothing has neither, and zeros. */
function softmaxRow(scores: Float64Array, from: number, length: number, stats: FloatArray, at: number): void {
  const end = from + length;
  let largest = LOWEST_FLOAT32;
  for (let i = from; i < end; i++) largest = Math.max(largest, scores[i]);
  let sum = 0;
  for (let i = from; i < end; i++) {
    scores[i] = Math.exp(scores[i] - largest);
    sum += scores[i];
  }
  const inverse = sum === 0 ? 0 : 1 / sum;
  for (let i = from; i < end; i++) scores[i] *= inverse;
  stats[at] = largest;
  stats[at + 1] = inverse;
}

/** Fills `kept` for one query row (of all heads); without dropout it stays 1. */
function dropRow({ key, stream, dropoutRate, Tk, kept }: Plan, query: number): void {
  if (key === undefined) return;
  const limit = Math.fround(dropoutRate);
  fillUniform([key[0], key[1]], stream, kept, query * Tk);
  for (let j = 0; j < Tk; j++) kept[j] = kept[j] >= limit ? 1 / (1 - dropoutRate) : 0;
}

function dotRow(a: FloatArray, b: FloatArray, at: number, length: number): number {
  let sum = 0;
  for (const end = at + length; at < end; at++) sum += a[at] * b[at];
  return sum;
}

function rowsAt(data: FloatArray, row: number, D: number): Matrix {
  return { data, start: row * D, rowStride: D, columnStride: 1 };
}

function scoreMatrix({ scores, Tk }: Plan): Matrix {
  return { data: scores, start: 0, rowStride: Tk, columnStride: 1 };
}

function transposed({ Tk }: Plan, data: Float64Array): Matrix {
  return { data, start: 0, rowStride: 1, columnStride: Tk };
}
