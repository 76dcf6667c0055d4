// Texts generated side by side: what each becomes, who waits, and what is left when a client goes away or a text fails.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, initializeParameters, randomKey } from '@xmoe/core';
import { createLanguageModelFromConfig, createTextGenerator, DEFAULT_SAMPLING, droplessLanguageConfig, generateTokens, type GenerationRequest } from '@xmoe/models';
import { trainBpe } from '@xmoe/text';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { languageConfigs } from './configs.js';

const engine = createEngine(createCpuBackend());
afterAll(() => engine.dispose());
const tokenizer = trainBpe(['the king and the queen of the land, the war and the peace of the people'], { vocabularySize: 270 });
const config = droplessLanguageConfig(await languageConfigs.resolve({ preset: 'tiny', set: ['model.width=16', 'model.layers=2', 'model.heads=2', 'model.contextLength=16', 'moe.expertHidden=8', 'moe.experts=4', 'moe.router.threshold=0.5', 'model.hidden=16'] }));
const model = createLanguageModelFromConfig(config, tokenizer.vocabularySize);
const parameters = initializeParameters(engine, model.parameters, randomKey(3));
const { buffers } = engine.memory();
const OPTIONS = { engine, parameters, tokenizer };

async function alone(prompt: string, seed: number, maxTokens: number): Promise<number[]> {
  const tokens: number[] = [];
  for await (const token of generateTokens(engine, model, parameters, tokenizer, prompt, { ...DEFAULT_SAMPLING, seed, maxTokens })) tokens.push(token);
  return tokens;
}

function request(prompt: string, seed: number, maxTokens: number, more: Partial<GenerationRequest> = {}): GenerationRequest & { tokens: number[] } {
  const tokens: number[] = [];
  return { ...DEFAULT_SAMPLING, model, prompt: [...tokenizer.encode(prompt)], seed, maxTokens, tokens, onToken: (token) => (tokens.push(token), false), ...more };
}

describe('createTextGenerator', () => {
  it('gives each request what it is given alone, also one that had to wait', async () => {
    const generator = createTextGenerator({ ...OPTIONS, most: 2 });
    const requests = [request('the king', 1, 9), request('', 2, 4), request('of the people and the war', 3, 6), request('land', 1, 1)];
    const ends = requests.map((each) => generator.generate(each));
    await vi.waitFor(() => expect(generator.load()).toEqual({ running: 2, waiting: 2 }), { interval: 0 });
    await Promise.all(ends);
    for (const [index, prompt] of ['the king', '', 'of the people and the war', 'land'].entries()) {
      const { tokens, seed, maxTokens } = requests[index]!;
      expect(tokens).toEqual(await alone(prompt, seed, maxTokens));
      expect(await ends[index]).toBe(tokens.length < maxTokens ? 'end' : 'length');
    }
    await vi.waitFor(() => expect(generator.load()).toEqual({ running: 0, waiting: 0 }));
  });

  it('other choices of a seed are other texts, and a model of another threshold runs beside', async () => {
    const generator = createTextGenerator({ ...OPTIONS, most: 4 });
    const { moe } = config;
    if (moe?.router.type !== 'threshold') throw new Error('the configuration has no threshold');
    const other = createLanguageModelFromConfig({ ...config, moe: { ...moe, router: { ...moe.router, threshold: 1 } } }, tokenizer.vocabularySize);
    const requests = [request('the', 5, 8), request('the', 5, 8, { choice: 1 }), request('the', 5, 8, { model: other }), request('the', 5, 8)];
    await Promise.all(requests.map((each) => generator.generate(each)));
    expect(requests[3]!.tokens).toEqual(requests[0]!.tokens);
    expect(requests[1]!.tokens).not.toEqual(requests[0]!.tokens);
    expect(requests[2]!.tokens).toHaveLength(8);
  });

  it('frees the place of whoever goes away, running or waiting, and leaves no buffer', async () => {
    const generator = createTextGenerator({ ...OPTIONS, most: 1 });
    const [first, second] = [new AbortController(), new AbortController()];
    const gone = request('the', 1, 1e6, { signal: first.signal, onToken: () => (first.abort(), second.abort(), false) });
    const never = request('the', 1, 5, { signal: second.signal });
    const last = request('the', 1, 3);
    expect(await Promise.all([gone, never, last].map((each) => generator.generate(each)))).toEqual(['stopped', 'stopped', 'length']);
    expect([never.tokens.length, last.tokens.length]).toEqual([0, 3]);
    await vi.waitFor(() => expect(engine.memory().buffers).toBe(buffers));
  });

  it('ends a text where its owner says so; one that fails fails alone', async () => {
    const generator = createTextGenerator({ ...OPTIONS, most: 3 });
    const failing = request('the', 1, 4, { onToken: () => { throw new Error('cannot be told'); } });
    const [stopped, good] = [request('the', 1, 4, { onToken: () => true }), request('the', 1, 4)];
    const ends = await Promise.allSettled([failing, stopped, good].map((each) => generator.generate(each)));
    expect(ends.map((end) => (end.status === 'fulfilled' ? end.value : (end.reason as Error).message))).toEqual(['cannot be told', 'stopped', 'length']);
  });

  it('refuses what makes no sense, and gives nothing for no tokens', async () => {
    const generator = createTextGenerator({ ...OPTIONS, most: 1 });
    await expect(generator.generate(request('the', 1, 4, { temperature: -1 }))).rejects.toThrow('the temperature is -1');
    await expect(generator.generate(request('the', 1, 0))).resolves.toBe('length');
  });
});
