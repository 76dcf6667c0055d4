// Sampling text from a language model, seeded. The choice of one token is in @xmoe/nn.
import { foldIn, hostUniform, randomKey, XMoEError, type Engine, type FloatDType, type ForwardContext, type Parameters } from '@xmoe/core';
import { checkSampling, sampleToken, type TokenSampling } from '@xmoe/nn';
import type { Tokenizer } from '@xmoe/train';
import type { XMoELanguageModel } from './model.js';

export interface SamplingOptions extends TokenSampling {
  /** Tokens to add. */
  maxTokens: number;
  seed: number;
}

export const DEFAULT_SAMPLING: SamplingOptions = { maxTokens: 120, temperature: 0.8, topK: 0, topP: 0.95, seed: 1 };

/**
 * Continues `prompt` token by token and yields each new token, up to the end of the text. The model sees the last
 * `contextLength` tokens. Use a model with dropless dispatch: then padding and batch do not matter.
 */
export async function* generate(
  engine: Engine,
  model: XMoELanguageModel,
  parameters: Parameters,
  tokenizer: Tokenizer,
  prompt: string,
  options: SamplingOptions,
  computeDType: FloatDType = 'float32',
): AsyncGenerator<number, void, undefined> {
  checkOptions(options);
  const { contextLength } = model.config;
  const tokens = prompt === '' ? [tokenizer.endOfText] : [...tokenizer.encode(prompt)];
  const key = foldIn(randomKey(options.seed), 'sample');
  for (let index = 0; index < options.maxTokens; index++) {
    const window = tokens.slice(-contextLength);
    const logits = engine.scope(() => {
      // A fixed length keeps shapes, and so buffers and kernels, the same from token to token.
      const padded = Int32Array.from({ length: contextLength }, (_, position) => window[position] ?? 0);
      const mask = engine.tensor(Uint8Array.from(padded, (_, position) => (position < window.length ? 1 : 0)), [contextLength], 'bool');
      const context: ForwardContext = { training: false, key: null, computeDType, tokenIds: null, mask, collect: 'nothing' };
      return model.logitsAt(parameters, engine.tensor(padded), { batch: 1, length: contextLength }, window.length - 1, context);
    });
    const values = await logits.data();
    logits.dispose();
    const next = sampleToken(values, hostUniform(foldIn(key, index), 1)[0]!, options);
    if (next === tokenizer.endOfText) return;
    tokens.push(next);
    yield next;
  }
}

/** @throws XMoEError `value` naming the option that makes no sense */
export function checkOptions(options: SamplingOptions): void {
  checkSampling(options);
  const { maxTokens } = options;
  if (!Number.isInteger(maxTokens) || maxTokens < 0) throw new XMoEError('value', `the number of tokens is ${maxTokens}`, { op: 'sample', hint: 'pass a whole number' });
}
