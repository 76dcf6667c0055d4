// What decoding returns, and the limits it keeps. Plain numbers; no device.
import { XMoEError } from '@xmoe/core';

export interface Hypothesis {
  /** Without the start and the end token. */
  readonly tokens: readonly number[];
  /** Σ log p of the tokens and of the end, in nats. */
  readonly logProbability: number;
  /** `logProbability` / (tokens + 1)^α: what hypotheses are compared by. */
  readonly score: number;
  /** False when it reached the maximum length: the end is not where the model would have put it. */
  readonly complete: boolean;
}

/** What all ways to decode need to know. */
export interface DecodingLimits {
  /** What the decoder sees first. */
  startToken: number;
  /** What ends a hypothesis. */
  endToken: number;
  /** The most tokens of a hypothesis of each source, the end not counted. */
  maxLengths: readonly number[];
  /** Never produced, e.g. padding. */
  forbiddenTokens?: readonly number[];
}

export interface LengthRule {
  /** Tokens of the target per token of the source. */
  ratio: number;
  /** Tokens on top. */
  extra: number;
  /** Never more than these: what the model's positions allow. */
  limit: number;
}

/** min(limit, ⌈ratio · length + extra⌉) of each source: depends on no other source. */
export function maximumLengths(sourceLengths: readonly number[], { ratio, extra, limit }: LengthRule): number[] {
  return sourceLengths.map((length) => Math.max(0, Math.min(limit, Math.ceil(ratio * length + extra))));
}

/** @throws XMoEError `value` unless there is one whole maximum length per source */
export function checkLimits(op: string, { maxLengths }: DecodingLimits, sources: number): void {
  if (maxLengths.length !== sources) {
    throw new XMoEError('value', `${maxLengths.length} maximum lengths for ${sources} sources`, { op, hint: 'pass one per source' });
  }
  const wrong = maxLengths.find((length) => !Number.isInteger(length) || length < 0);
  if (wrong !== undefined) throw new XMoEError('value', `a maximum length is ${wrong}`, { op, hint: 'pass whole numbers from 0' });
}

/** The model's probabilities are NaN. */
export function notNumbers(op: string): XMoEError {
  return new XMoEError('numerics', 'the probabilities of the model are not numbers', { op, hint: 'the parameters diverged: use an earlier checkpoint' });
}
