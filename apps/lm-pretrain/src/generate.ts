// Sampling text from a language model: temperature, top-k and nucleus, seeded.
import { foldIn, hostUniform, randomKey, XMoEError, type Engine, type FloatDType, type ForwardContext, type Parameters } from '@xmoe/core';
import type { Tokenizer } from '@xmoe/train';
import type { XMoELanguageModel } from './model.js';

export interface SamplingOptions {
  /** Tokens to add. */
  maxTokens: number;
  /** Divides the logits; 0 takes the likeliest token. */
  temperature: number;
  /** Only the k likeliest tokens; 0: all. */
  topK: number;
  /** Only the fewest likeliest tokens that reach this mass (Holtzman et al. 2020); 1: all. */
  topP: number;
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
  checkSampling(options);
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

/** The token that the uniform number `u` in [0, 1) picks from softmax(logits / temperature) after top-k and nucleus. */
export function sampleToken(logits: ArrayLike<number>, u: number, options: Pick<SamplingOptions, 'temperature' | 'topK' | 'topP'>): number {
  const order = Array.from({ length: logits.length }, (_, id) => id).sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (options.temperature === 0) return order[0]!;
  const peak = logits[order[0]!]!;
  const candidates = options.topK > 0 ? order.slice(0, options.topK) : order;
  const weights = candidates.map((id) => Math.exp((logits[id]! - peak) / options.temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let count = 0;
  let mass = 0;
  while (count < weights.length && (count === 0 || mass < options.topP * total)) mass += weights[count++]!;
  let rest = u * mass;
  for (let index = 0; index < count; index++) {
    rest -= weights[index]!;
    if (rest < 0) return candidates[index]!;
  }
  return candidates[count - 1]!;
}

/** @throws XMoEError `value` naming the option that makes no sense */
export function checkSampling({ maxTokens, temperature, topK, topP }: SamplingOptions): void {
  const fail = (problem: string, hint: string): never => {
    throw new XMoEError('value', problem, { op: 'sample', hint });
  };
  if (!Number.isInteger(maxTokens) || maxTokens < 0) fail(`the number of tokens is ${maxTokens}`, 'pass a whole number');
  if (!(temperature >= 0)) fail(`the temperature is ${temperature}`, 'pass a number from 0');
  if (!Number.isInteger(topK) || topK < 0) fail(`top-k is ${topK}`, 'pass a whole number; 0 keeps all tokens');
  if (!(topP > 0 && topP <= 1)) fail(`top-p is ${topP}`, 'pass a number above 0 up to 1');
}
