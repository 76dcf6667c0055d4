// Many texts generated side by side for whoever asks: a request begins with the next token of the others, and leaves when it ends or its
// client goes away. What one text draws is what `generateTokens` draws. Knows no protocol.
import { foldIn, hostUniform, randomKey, type Engine, type FloatDType, type Parameters, type RandomKey } from '@xmoe/core';
import { openTextPool, sampleToken, type TextPool } from '@xmoe/nn';
import type { Tokenizer } from '@xmoe/text';
import { nextTurn } from '../next-turn.js';
import { checkSamplingOptions, type SamplingOptions } from './generate-tokens.js';
import type { XMoELanguageModel } from './language-model.js';

export interface GenerationRequest extends SamplingOptions {
  /** With nothing dropped. Requests of the same model share its steps. */
  readonly model: XMoELanguageModel;
  /** Token ids; none: the beginning of a text. */
  readonly prompt: readonly number[];
  /** Which of several continuations with the same seed it is. Default 0, the one that `sample` gives. */
  readonly choice?: number;
  /** Told each token; true ends the text with it. */
  readonly onToken: (token: number) => boolean;
  /** Aborted when nobody wants the rest. */
  readonly signal?: AbortSignal;
}

/** Why a text ended: at the end that the model gave it, after `maxTokens`, or because `onToken` or the signal said so. */
export type GenerationEnd = 'end' | 'length' | 'stopped';

export interface TextGenerator {
  /** @throws XMoEError `value` for options that make no sense, `numerics` when the model's logits have no softmax */
  generate(request: GenerationRequest): Promise<GenerationEnd>;
  /** Texts that grow now, and those that wait for a place. */
  load(): { running: number; waiting: number };
}

export interface TextGeneratorOptions {
  readonly engine: Engine;
  readonly parameters: Parameters;
  readonly tokenizer: Tokenizer;
  readonly computeDType?: FloatDType;
  /** Texts that grow at once. */
  readonly most: number;
}

interface Growing {
  readonly request: GenerationRequest;
  readonly key: RandomKey;
  readonly tokens: number[];
  drawn: number;
  ended: boolean;
  resolve(end: GenerationEnd): void;
  reject(error: unknown): void;
}

export function createTextGenerator({ engine, parameters, tokenizer, computeDType = 'float32', most }: TextGeneratorOptions): TextGenerator {
  let waiting: Growing[] = [];
  let running: Growing[] = [];
  let busy = false;
  const pools = new Map<XMoELanguageModel, TextPool>();
  const poolOf = (model: XMoELanguageModel): TextPool => {
    const pool = pools.get(model) ?? openTextPool({ engine, model, parameters }, computeDType);
    pools.set(model, pool);
    return pool;
  };

  /** The next token of all texts of one model. */
  const stepModel = async (model: XMoELanguageModel, texts: readonly Growing[]): Promise<void> => {
    const pool = poolOf(model);
    try {
      const logits = await pool.next(texts.map(({ tokens }) => tokens));
      texts.forEach((text, index) => drawNext(text, logits[index]!, tokenizer.endOfText));
    } catch (error) {
      pool.close();
      for (const text of texts) text.reject(error);
    }
  };
  const leave = (): void => {
    for (const text of [...running, ...waiting]) if (text.request.signal?.aborted) text.resolve('stopped');
    running = running.filter(({ ended }) => !ended);
    waiting = waiting.filter(({ ended }) => !ended);
    running.push(...waiting.splice(0, most - running.length));
  };
  const run = async (): Promise<void> => {
    busy = true;
    await nextTurn(); // who asks in the same turn begins together
    for (leave(); running.length > 0; leave()) {
      for (const model of new Set(running.map(({ request }) => request.model))) await stepModel(model, running.filter(({ request }) => request.model === model));
      await nextTurn(); // others may ask, or go away
    }
    busy = false;
    for (const pool of pools.values()) pool.close();
    pools.clear();
  };

  return {
    generate(request) {
      return new Promise((resolve, reject) => {
        checkSamplingOptions(request);
        const text = growing(request, tokenizer.endOfText, resolve, reject);
        if (request.maxTokens === 0) return text.resolve('length');
        waiting.push(text);
        if (!busy) void run();
      });
    },
    load: () => ({ running: running.length, waiting: waiting.length }),
  };
}

function growing(request: GenerationRequest, endOfText: number, resolve: (end: GenerationEnd) => void, reject: (error: unknown) => void): Growing {
  const key = foldIn(randomKey(request.seed), 'sample');
  const ending = <T>(tell: (value: T) => void) => (value: T): void => {
    text.ended = true;
    tell(value);
  };
  const text: Growing = {
    request, tokens: request.prompt.length === 0 ? [endOfText] : [...request.prompt], drawn: 0, ended: false,
    key: request.choice ? foldIn(key, request.choice) : key, resolve: ending(resolve), reject: ending(reject),
  };
  return text;
}

/** Draws a token of one text; what is wrong with its logits ends it alone. */
function drawNext(text: Growing, logits: Float32Array, endToken: number): void {
  const { request, key, tokens } = text;
  try {
    const token = sampleToken(logits, hostUniform(foldIn(key, text.drawn), 1)[0]!, request);
    if (token === endToken) return text.resolve('end');
    tokens.push(token);
    text.drawn++;
    if (request.onToken(token)) text.resolve('stopped');
    else if (text.drawn >= request.maxTokens) text.resolve('length');
  } catch (error) {
    text.reject(error);
  }
}
