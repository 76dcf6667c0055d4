// The softmax gate on plain arrays: p = softmax(logits) (Eq. 1). It chooses nothing; the routers do.
import { requireName, requireOptions } from '@xmoe/core';
import { type Logits, type Mask, type Precision, readLogits, readMask } from './logits.js';

export interface GateOptions {
  /** Padding tokens (0 or false) get p = 0 and take part in nothing. */
  readonly mask?: Mask;
  /** Default float32. */
  readonly precision?: Precision;
}

/** The gate's output for one routing group. */
export interface Gate {
  readonly tokens: number;
  readonly experts: number;
  /** [T, N], rounded to `precision`. */
  readonly logits: Float64Array;
  /** softmax(logits) [T, N]; rows of padding tokens are 0. */
  readonly probabilities: Float64Array;
  /** [T]: 1 = real token, 0 = padding. */
  readonly mask: Uint8Array;
  readonly precision: Precision;
}

/**
 * p = softmax(logits) row by row. In float32 the result is the correctly rounded softmax of the rounded logits, which
 * every float32 implementation meets within a few units in the last place.
 * @throws XMoEError as {@link readLogits} and {@link readMask}.
 */
export function softmaxGate(logits: Logits, options: GateOptions = {}): Gate {
  requireOptions('route', options);
  const precision = requireName('route', 'precision', options.precision ?? 'float32', ['float32', 'float64']);
  const { tokens, experts, values } = readLogits(logits, precision);
  const mask = readMask(options.mask, tokens);
  const probabilities = new Float64Array(tokens * experts); // [T, N]
  for (let token = 0; token < tokens; token++) {
    if (mask[token] === 0) continue;
    const row = values.subarray(token * experts, (token + 1) * experts);
    const logSum = rowLogSumExp(row);
    for (let expert = 0; expert < experts; expert++) {
      const p = Math.exp(row[expert] - logSum.max) / logSum.sum;
      probabilities[token * experts + expert] = precision === 'float32' ? Math.fround(p) : p;
    }
  }
  return { tokens, experts, logits: values, probabilities, mask, precision };
}

/** log Σ exp(row) in a form that does not overflow: `value` = `max` + log(`sum`). */
export function rowLogSumExp(row: Float64Array): { max: number; sum: number; value: number } {
  let max = -Infinity;
  for (const logit of row) max = Math.max(max, logit);
  let sum = 0;
  for (const logit of row) sum += Math.exp(logit - max);
  return { max, sum, value: max + Math.log(sum) };
}

/** Expert ids of one row by falling score; equal scores by rising id. */
export function rankExperts(scores: Float64Array): number[] {
  return Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a] || a - b);
}

/** The index of the largest entry, the lowest one on ties. */
export function argmax(row: Float64Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i] > row[best]) best = i;
  return best;
}
