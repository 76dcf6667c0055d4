// Sampling text from a language model, seeded. The choice of one token is in @xmoe/nn.
import { foldIn, randomKey, XMoEError, type Engine, type FloatDType, type Parameters } from '@xmoe/core';
import { checkSampling, continueTexts, type TokenSampling } from '@xmoe/nn';
import type { Tokenizer } from '@xmoe/text';
import type { XMoELanguageModel } from './language-model.js';

export interface SamplingOptions extends TokenSampling {
  /** Tokens to add. */
  maxTokens: number;
  seed: number;
}

export const DEFAULT_SAMPLING: SamplingOptions = { maxTokens: 120, temperature: 0.8, topK: 0, topP: 0.95, seed: 1 };

/**
 * Continues `prompt` token by token and yields each new token, up to the end of the text. The model sees the last
 * `contextLength` tokens. Use a model with dropless dispatch, see `continueTexts`.
 */
export async function* generateTokens(
  engine: Engine,
  model: XMoELanguageModel,
  parameters: Parameters,
  tokenizer: Tokenizer,
  prompt: string,
  options: SamplingOptions,
  computeDType: FloatDType = 'float32',
): AsyncGenerator<number, void, undefined> {
  checkSamplingOptions(options);
  const text = prompt === '' ? [tokenizer.endOfText] : tokenizer.encode(prompt);
  const more = { ...options, keys: [foldIn(randomKey(options.seed), 'sample')], endToken: tokenizer.endOfText, computeDType };
  for await (const [token] of continueTexts({ engine, model, parameters }, [text], more)) yield token!;
}

/** @throws XMoEError `value` naming the option that makes no sense */
export function checkSamplingOptions(options: SamplingOptions): void {
  checkSampling(options);
  const { maxTokens } = options;
  if (!Number.isInteger(maxTokens) || maxTokens < 0) throw new XMoEError('value', `the number of tokens is ${maxTokens}`, { op: 'sample', hint: 'pass a whole number' });
}
