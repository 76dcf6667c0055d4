// Texts that go on with cached keys and values against the whole model for every token: states, windows, sampling, memory.
import { foldIn, hostUniform, randomKey, sum, valueAndGrad, type Tensor } from '@xmoe/core';
import { continueTexts, sampleToken, selectPrefixes, type ContinuationOptions, type LanguageModel, type PrefixState } from '@xmoe/nn';
import type { RoutingTrace } from '@xmoe/moe';
import { afterAll, describe, expect, it } from 'vitest';
import { drawnParameters, EVALUATION, expectClose, float64, read, tinyModel } from './tiny.js';

const engine = float64();
afterAll(() => engine.dispose());

const V = 7;
const model = tinyModel({ dispatch: 'grouped', contextLength: 9 });
const parameters = drawnParameters(engine, model.parameters, 0.7);
const PREFIXES = [[3, 1, 4, 1, 5], [2], [6, 0, 2]];

/** The logits after each text, by the whole model. */
function wholeLogits(of: LanguageModel<RoutingTrace>, texts: readonly (readonly number[])[]): number[] {
  return texts.flatMap((text) => engine.scope(() =>
    read(of.logitsAt(parameters, engine.tensor(Int32Array.from(text)), { batch: 1, length: text.length }, text.length - 1, EVALUATION))));
}

/** Rows of unequal length, with what must not matter behind them. */
function start(texts: readonly (readonly number[])[], filler = 0): { logits: number[]; state: PrefixState } {
  const length = Math.max(...texts.map((text) => text.length));
  const tokens = engine.tensor(Int32Array.from(texts.flatMap((text) => Array.from({ length }, (_, place) => text[place] ?? filler))));
  const { x, state } = model.startDecoding(parameters, { shape: { batch: texts.length, length }, tokens, lengths: texts.map((text) => text.length) }, EVALUATION);
  return { logits: read(model.logits(parameters, x)), state };
}

function step(state: PrefixState, tokens: readonly number[]): { logits: number[]; state: PrefixState } {
  const { x, state: next } = model.decodeStep(parameters, state, engine.tensor(Int32Array.from(tokens)), EVALUATION);
  return { logits: read(model.logits(parameters, x)), state: next };
}

describe('a language model that keeps keys and values', () => {
  it.each([['unequal', PREFIXES], ['equal', [[3, 1, 4], [2, 2, 6]]], ['of one token', [[5]]]])('gives the logits of the whole model, position by position: prefixes %s', (_, prefixes) => {
    let { logits, state } = start(prefixes, 6);
    const texts = prefixes.map((prefix) => [...prefix]);
    expectClose(logits, wholeLogits(model, texts), 1e-12);
    for (const next of [4, 0, 5, 2]) {
      texts.forEach((text, row) => text.push((next + row) % V));
      ({ logits, state } = step(state, texts.map((text) => text.at(-1)!)));
      expectClose(logits, wholeLogits(model, texts), 1e-12);
      expect(state.lengths).toEqual(texts.map((text) => text.length));
    }
  });

  it('rows can be repeated, swapped and left out, with their padding', () => {
    const { state } = step(start(PREFIXES).state, [1, 2, 3]);
    const swapped = step(selectPrefixes(engine, state, [2, 0, 0]), [5, 6, 4]);
    const texts = [[6, 0, 2, 3, 5], [3, 1, 4, 1, 5, 1, 6], [3, 1, 4, 1, 5, 1, 4]];
    expectClose(swapped.logits, wholeLogits(model, texts), 1e-12);
    const last = step(selectPrefixes(engine, swapped.state, [0]), [0]);
    expectClose(last.logits, wholeLogits(model, [[...texts[0]!, 0]]), 1e-12);
  });

  it.each([
    [[3, 0], 'a prefix of 0 tokens in rows of 3'],
    [[3, 4], 'a prefix of 4 tokens in rows of 3'],
    [[3], '1 lengths for 2 prefixes'],
  ])('refuses lengths %j', (lengths, message) => {
    const tokens = engine.tensor(Int32Array.of(1, 2, 3, 4, 5, 6));
    expect(() => model.startDecoding(parameters, { shape: { batch: 2, length: 3 }, tokens, lengths }, EVALUATION)).toThrow(message);
  });

  it('a state that was written in place goes on where gradients are recorded, which nothing may be written over', () => {
    const { state } = step(start([[3, 1], [2, 2]]).state, [4, 5]);
    const { loss } = valueAndGrad(engine, (weights: typeof parameters) => sum(model.logits(weights, model.decodeStep(weights, state, engine.tensor(Int32Array.of(6, 0)), EVALUATION).x)), parameters);
    expectClose(read(loss), [wholeLogits(model, [[3, 1, 4, 6], [2, 2, 5, 0]]).reduce((total, logit) => total + logit, 0)], 1e-12);
  });

  it('refuses a position beyond the context', () => {
    const { state } = start([[1, 2, 3, 4, 5, 6, 0, 1, 2]]);
    expect(() => step(state, [1])).toThrow('sequences of 10 tokens exceed the context of 9');
  });
});

const SAMPLED = { temperature: 0.9, topK: 5, topP: 0.95 };
const keysOf = (texts: readonly unknown[]) => texts.map((_, index) => foldIn(randomKey(4), index));

async function collect(texts: readonly (readonly number[])[], options: Partial<ContinuationOptions> = {}, weights: Record<string, Tensor> = parameters): Promise<number[][]> {
  const out: number[][] = texts.map(() => []);
  const rows = continueTexts({ engine, model, parameters: weights }, texts, { maxTokens: 16, keys: keysOf(texts), ...SAMPLED, ...options });
  for await (const tokens of rows) tokens.forEach((token, row) => (token === null ? null : out[row]!.push(token)));
  return out;
}

/** One text by the whole model; `window` says what it sees. */
function uncached(text: readonly number[], row: number, window: (tokens: number[]) => number[], endToken = -1): number[] {
  const tokens = [...text];
  for (let index = 0; index < 16; index++) {
    const next = sampleToken(wholeLogits(model, [window(tokens)]), hostUniform(foldIn(foldIn(randomKey(4), row), index), 1)[0]!, SAMPLED);
    if (next === endToken) break;
    tokens.push(next);
  }
  return tokens.slice(text.length);
}

describe('continueTexts', () => {
  const last = (tokens: number[]): number[] => tokens.slice(-9);

  it('draws what the whole model draws from the last contextLength tokens, also beyond the context', async () => {
    const texts = [...PREFIXES, [1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5]];
    const expected = texts.map((text, row) => uncached(text, row, last));
    expect(await collect(texts)).toEqual(expected);
    expect(new Set(expected.map(String)).size).toBe(4);
  });

  it('with a stride, a full window forgets so many tokens at once', async () => {
    const [text] = PREFIXES;
    let from = 0;
    const strided = (tokens: number[]): number[] => {
      if (tokens.length - from > 9) from += 4;
      return tokens.slice(from);
    };
    const expected = uncached(text!, 0, strided);
    expect(await collect([text!], { stride: 4 })).toEqual([expected]);
    expect(expected).not.toEqual(uncached(text!, 0, last));
  });

  it('ends a text at the end token, which it does not yield, while the others go on', async () => {
    const expected = PREFIXES.map((text, row) => uncached(text, row, last, 3));
    expect(await collect(PREFIXES, { endToken: 3 })).toEqual(expected);
    expect(new Set(expected.map(({ length }) => length)).size).toBe(3);
  });

  it('a text draws by its key alone', async () => {
    const together = await collect(PREFIXES);
    expect(await collect([PREFIXES[2]!], { keys: [foldIn(randomKey(4), 2)] })).toEqual([together[2]]);
    expect(await collect(PREFIXES, { keys: keysOf(PREFIXES).reverse() })).not.toEqual(together);
  });

  it('takes no texts, and no tokens', async () => {
    expect(await collect([])).toEqual([]);
    expect(await collect(PREFIXES, { maxTokens: 0 })).toEqual([[], [], []]);
  });

  it('leaves no buffer behind: at the end, when its caller stops, after an error', async () => {
    const { buffers } = engine.memory();
    await collect(PREFIXES, { endToken: 3 });
    expect(engine.memory().buffers).toBe(buffers);
    for await (const tokens of continueTexts({ engine, model, parameters }, PREFIXES, { maxTokens: 5, keys: keysOf(PREFIXES), ...SAMPLED })) {
      expect(tokens.length).toBe(3);
      break;
    }
    expect(engine.memory().buffers).toBe(buffers);
    const diverged = { ...parameters, 'ln_f.bias': engine.full([4], Number.NaN).keep() };
    await expect(collect(PREFIXES, {}, diverged)).rejects.toThrow('the logit of token 0 is NaN');
    expect(engine.memory().buffers).toBe(buffers + 1);
  });

  it.each([
    [{ maxTokens: -1 }, 'the number of tokens is -1'],
    [{ maxTokens: Number.NaN }, 'the number of tokens is NaN'],
    [{ stride: 0 }, 'the stride is 0 with a context of 9'],
    [{ stride: 10 }, 'the stride is 10'],
    [{ keys: [] }, '0 keys for 3 texts'],
    [{ temperature: -1 }, 'the temperature is -1'],
  ] as [Partial<ContinuationOptions>, string][])('refuses %j', async (options, message) => {
    await expect(collect(PREFIXES, options)).rejects.toThrow(message);
  });

  it('refuses a text without tokens', async () => {
    await expect(collect([[1], []])).rejects.toThrow('text 1 has no token to begin with');
  });
});
