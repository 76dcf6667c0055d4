// Sampling: what generateTokens feeds the model, and where it stops.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, initializeParameters, randomKey, type Tensor } from '@xmoe/core';
import { createLanguageModelFromConfig, DEFAULT_SAMPLING, droplessLanguageConfig, generateTokens, type XMoELanguageModel } from '@xmoe/models';
import type { PrefixBatch, PrefixState } from '@xmoe/nn';
import { trainBpe } from '@xmoe/text';
import { afterAll, describe, expect, it } from 'vitest';
import { languageConfigs as configs } from './configs.js';

describe('generate', () => {
  const engine = createEngine(createCpuBackend());
  afterAll(() => engine.dispose());
  const tokenizer = trainBpe(['the king and the queen of the land, the war and the peace of the people'], { vocabularySize: 270 });

  /** A model that records the windows it reads, and always prefers token `favourite`. */
  function recorder(favourite: (step: number) => number) {
    const seen: number[][] = [];
    const state = (length: number): PrefixState => ({ rows: 1, lengths: [length], past: [], mask: null });
    const x = (): Tensor => engine.zeros([1, 1]);
    const model = {
      config: { contextLength: 8 },
      startDecoding(_: unknown, { tokens }: PrefixBatch) {
        seen.push([...tokens.dataSync()]);
        return { x: x(), state: state(tokens.size) };
      },
      decodeStep(_: unknown, { lengths }: PrefixState, tokens: Tensor) {
        seen.push([...seen.at(-1)!, tokens.dataSync()[0]!]);
        return { x: x(), state: state(lengths[0]! + 1) };
      },
      logits() {
        const logits = new Float32Array(tokenizer.vocabularySize);
        logits[favourite(seen.length - 1)] = 50;
        return engine.tensor(logits, [1, logits.length]);
      },
    } as unknown as XMoELanguageModel;
    return { model, seen };
  }
  const collect = async (model: XMoELanguageModel, prompt: string, maxTokens: number): Promise<number[]> => {
    const tokens: number[] = [];
    for await (const token of generateTokens(engine, model, {}, tokenizer, prompt, { ...DEFAULT_SAMPLING, maxTokens })) tokens.push(token);
    return tokens;
  };

  it('shows the model the last contextLength tokens', async () => {
    const { model, seen } = recorder((step) => 100 + step);
    const prompt = 'zyxwvu';
    const ids = Array.from(tokenizer.encode(prompt));
    expect(await collect(model, prompt, 6)).toEqual([100, 101, 102, 103, 104, 105]);
    const everything = [...ids, 100, 101, 102, 103, 104];
    expect(everything.length).toBeGreaterThan(8);
    expect(seen).toEqual(Array.from({ length: 6 }, (_, step) => everything.slice(0, ids.length + step).slice(-8)));
  });

  it('stops at the end of the text, which it does not yield, and begins with it for an empty prompt', async () => {
    const { model, seen } = recorder((step) => (step === 2 ? tokenizer.endOfText : 65));
    expect(await collect(model, '', 10)).toEqual([65, 65]);
    expect(seen[0]).toEqual([tokenizer.endOfText]);
  });

  it('is not changed by what lies behind the last token, with experts that drop nothing', async () => {
    const config = await configs.resolve({ preset: 'tiny', flags: { width: '16', heads: '2', hidden: '16', 'expert-hidden': '8', experts: '4', 'context-length': '8' } });
    const model = createLanguageModelFromConfig(droplessLanguageConfig(config), tokenizer.vocabularySize);
    const parameters = initializeParameters(engine, model.parameters, randomKey(3));
    const context = { training: false, key: null, computeDType: 'float32', tokenIds: null, collect: 'nothing' } as const;
    const logits = async (inputs: number[], mask: number[]) => engine.scope(() =>
      model.logitsAt(parameters, engine.tensor(Int32Array.from(inputs)), { batch: 1, length: 8 }, 2, { ...context, mask: engine.tensor(Uint8Array.from(mask), [8], 'bool') })).data();
    const first = await logits([5, 6, 7, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0]);
    expect(await logits([5, 6, 7, 9, 9, 9, 9, 9], [1, 1, 1, 0, 0, 0, 0, 0])).toEqual(first);
    expect(await logits([5, 6, 8, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0])).not.toEqual(first);
  });

  it.each([
    [{ temperature: -1 }, 'the temperature is -1'],
    [{ temperature: Number.NaN }, 'the temperature is NaN'],
    [{ topP: 0 }, 'top-p is 0'],
    [{ topK: 1.5 }, 'top-k is 1.5'],
    [{ maxTokens: -1 }, 'the number of tokens is -1'],
  ])('refuses %j', async (options, message) => {
    const { model } = recorder(() => 1);
    await expect(generateTokens(engine, model, {}, tokenizer, 'a', { ...DEFAULT_SAMPLING, ...options }).next()).rejects.toThrow(message);
  });
});
