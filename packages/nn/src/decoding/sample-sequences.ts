// Sampling translations: every source draws its own tokens from a key of its own. The choice of one token is in sampling.ts.
import { foldIn, hostUniform, type FloatDType, type RandomKey } from '@xmoe/core';
import type { SequenceBatch } from '../models/encoder-decoder.js';
import { decodingContext, openDecoding, type DecodedModel } from './decoding-session.js';
import { checkLimits, notNumbers, type DecodingLimits, type Hypothesis } from './hypothesis.js';
import { checkSampling, sampleToken, type TokenSampling } from './sampling.js';

export interface SampleOptions extends DecodingLimits, TokenSampling {
  /** One per source: what a source draws depends on its key alone. */
  readonly keys: readonly RandomKey[];
  readonly computeDType?: FloatDType;
  /** Awaited before each position. */
  readonly onStep?: () => Promise<void> | void;
}

/**
 * One sampled hypothesis of each source; its score is log p under the model, untempered.
 * @throws XMoEError `value` for options that make no sense, `numerics` when the model's logits have no softmax
 */
export async function sampleSequences<Trace>(decoded: DecodedModel<Trace>, source: SequenceBatch, options: SampleOptions): Promise<Hypothesis[]> {
  checkSampling(options);
  checkLimits('sampleSequences', options, source.shape.batch);
  const drafts = options.keys.map((key, index): Draft => ({ key, maxLength: options.maxLengths[index]!, tokens: [], logProbability: 0, ended: null }));
  const session = openDecoding(decoded, source, decodingContext(options.computeDType ?? 'float32'));
  let active = drafts;
  let rows = drafts.map((_, index) => index);
  try {
    while (active.length > 0) {
      await options.onStep?.();
      const logits = session.step({ rows, sequences: rows }, active.map(({ tokens }) => tokens.at(-1) ?? options.startToken), (all) => all);
      const values = await logits.data();
      const vocabulary = logits.shape[1]!;
      logits.dispose();
      active.forEach((draft, row) => extend(draft, Float64Array.from(values.subarray(row * vocabulary, (row + 1) * vocabulary)), options));
      rows = active.flatMap((draft, row) => (draft.ended === null ? [row] : []));
      active = rows.map((row) => active[row]!);
    }
  } finally {
    session.close();
  }
  return drafts.map(({ tokens, logProbability, ended }) => ({ tokens, logProbability, score: logProbability, complete: ended === 'itself' }));
}

interface Draft {
  readonly key: RandomKey;
  readonly maxLength: number;
  readonly tokens: number[];
  logProbability: number;
  ended: 'itself' | 'by length' | null;
}

function extend(draft: Draft, logits: Float64Array, options: SampleOptions): void {
  const peak = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const normalizer = peak + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - peak), 0));
  if (Number.isNaN(normalizer)) throw notNumbers('sampleSequences');
  for (const token of options.forbiddenTokens ?? []) logits[token] = -Infinity;
  const full = draft.tokens.length >= draft.maxLength;
  const uniform = hostUniform(foldIn(draft.key, draft.tokens.length), 1)[0]!;
  const chosen = sampleToken(logits, uniform, options);
  const token = full ? options.endToken : chosen;
  draft.logProbability += logits[token]! - normalizer;
  if (token === options.endToken) draft.ended = chosen === options.endToken ? 'itself' : 'by length';
  else draft.tokens.push(token);
}
