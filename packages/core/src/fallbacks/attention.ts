// Fallbacks of attention and its gradient. They do materialise [Tq, Tk]; native kernels must not.
import type { AttentionOptions, KernelInputs, KernelOutputs, Operand } from '../contract.js';
import { LOWEST_FLOAT32 } from '../dtype.js';
import { softmaxGrad } from './softmax.js';
import { reshape, type Scratch } from './scratch.js';

export function attention(
  scratch: Scratch,
  { q, k, v, keyMask, key }: KernelInputs<'attention'>,
  { out, stats }: KernelOutputs<'attention'>,
  options: AttentionOptions,
): void {
  const scores = maskedScores(scratch, q, k, keyMask, options);
  const peak = scratch.binary('maximum', scratch.reduce('max', scores, 2), LOWEST_FLOAT32);
  const exponentials = scratch.unary('exp', scratch.binary('subtract', scores, peak));
  const sum = scratch.reduce('sum', exponentials, 2);
  // A sum is 1 or more, or, of nothing, 0.
  const inverse = scratch.binary('minimum', sum, scratch.unary('reciprocal', scratch.binary('maximum', sum, 1)));
  scratch.kernels.concat({ parts: [peak, inverse] }, { out: stats }, { axis: 2 });
  const probabilities = scratch.binary('multiply', exponentials, inverse);
  const weights = applyDropout(scratch, probabilities, key, options);
  scratch.copy(scratch.matmul(weights, seenRows(scratch, v, keyMask), false, false), out);
}

export function attentionGrad(
  scratch: Scratch,
  { q, k, v, keyMask, key, stats, dout }: KernelInputs<'attentionGrad'>,
  { dq, dk, dv }: KernelOutputs<'attentionGrad'>,
  options: AttentionOptions,
): void {
  const scores = maskedScores(scratch, q, k, keyMask, options);
  const [batch, queries, keys] = scores.shape as [number, number, number];
  const [peak, inverse] = [scratch.empty([batch, queries, 1]), scratch.empty([batch, queries, 1])];
  scratch.kernels.slice({ x: stats }, { out: peak }, { begin: [0, 0, 0] });
  scratch.kernels.slice({ x: stats }, { out: inverse }, { begin: [0, 0, 1] });
  const probabilities = scratch.binary('multiply', scratch.unary('exp', scratch.binary('subtract', scores, peak)), inverse);
  const upstream = scratch.cast(dout, 'float32');
  const weights = applyDropout(scratch, probabilities, key, options);
  scratch.copy(scratch.matmul(weights, upstream, true, false), dv);
  const dWeights = scratch.matmul(upstream, seenRows(scratch, v, keyMask), false, true);
  const dProbabilities = applyDropout(scratch, dWeights, key, options);
  const dScores = scratch.empty(scores.shape);
  const rows = [batch * queries, keys];
  softmaxGrad(scratch, { y: reshape(probabilities, rows), dy: reshape(dProbabilities, rows) }, { dx: reshape(dScores, rows) });
  const scaled = scratch.binary('multiply', dScores, options.scale);
  scratch.copy(scratch.matmul(scaled, seenRows(scratch, k, keyMask), false, false), dq);
  scratch.copy(scratch.matmul(scaled, scratch.cast(q, 'float32'), true, false), dk);
}

/** scale·q·kᵀ with −∞ where the query must not see the key: [B·heads, Tq, Tk]. */
function maskedScores(scratch: Scratch, q: Operand, k: Operand, keyMask: Operand | null, options: AttentionOptions): Operand {
  const products = scratch.matmul(scratch.cast(q, 'float32'), scratch.cast(k, 'float32'), false, true);
  let scores = scratch.binary('multiply', products, options.scale);
  const [batch, queries, keys] = scores.shape as [number, number, number];
  const minusInfinity = scratch.full([1], -Infinity);
  if (options.causal) {
    const column = reshape(scratch.iota(keys), [1, keys]);
    const last = scratch.binary('add', scratch.iota(queries), keys - queries);
    const seen = scratch.compare('lessEqual', column, reshape(last, [queries, 1]));
    scores = scratch.select(reshape(seen, [1, queries, keys]), scores, minusInfinity);
  }
  if (keyMask) {
    const rows = batch / options.heads;
    const perHead = [rows, options.heads * queries, keys];
    const masked = scratch.select(reshape(keyMask, [rows, 1, keys]), reshape(scores, perHead), minusInfinity);
    scores = reshape(masked, scores.shape);
  }
  return scores;
}

/** Keys or values in float32, zeros where nothing may see them: a probability of 0 times NaN would be NaN. */
function seenRows(scratch: Scratch, x: Operand, keyMask: Operand | null): Operand {
  const values = scratch.cast(x, 'float32');
  if (!keyMask) return values;
  const [rows, keys] = keyMask.shape as [number, number];
  const perBatch = [rows, rows === 0 ? 0 : x.shape[0]! / rows, keys, x.shape[2]!];
  return reshape(scratch.select(reshape(keyMask, [rows, 1, keys, 1]), reshape(values, perBatch), 0), x.shape);
}

function applyDropout(scratch: Scratch, x: Operand, key: Operand | null, options: AttentionOptions): Operand {
  if (!key || options.dropoutRate === 0) return x;
  const uniform = scratch.empty(x.shape);
  scratch.kernels.random({ key }, { out: uniform }, { stream: options.stream });
  const kept = scratch.compare('greaterEqual', uniform, options.dropoutRate);
  return scratch.select(kept, scratch.binary('multiply', x, 1 / (1 - options.dropoutRate)), 0);
}
