// evaluate against the token losses summed by hand: windows, bytes, the weights of batches, stopping.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, initializeParameters, randomKey } from '@xmoe/core';
import { createLanguageModelFromConfig, routingReader } from '@xmoe/models';
import { oneGroup } from '@xmoe/distributed';
import { createCommTeam } from '@xmoe/testing';
import { createArraySplit, trainBpe } from '@xmoe/text';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate, type EvaluateOptions } from '../src/evaluate.js';
import { configs } from '../src/config.js';
import { smallTexts } from './support.js';

const LENGTH = 8;
const engine = createEngine(createCpuBackend());
afterAll(() => engine.dispose());
const texts = smallTexts(3);
const tokenizer = trainBpe(texts, { vocabularySize: 280 });
const tokens = texts.flatMap((text) => [...tokenizer.encode(text), tokenizer.endOfText]).slice(0, 70); // 69 targets: 9 windows, the last of 5
const split = createArraySplit(tokens, { name: 'test' });

let options: EvaluateOptions;
/** −log p of every target, from the logits of each window alone. */
let losses: number[];

beforeAll(async () => {
  const flags = { 'context-length': String(LENGTH), width: '16', heads: '2', hidden: '16', experts: '4', 'expert-hidden': '8', dispatch: 'grouped', threshold: '0.6' };
  const config = await configs.resolve({ preset: 'tiny', flags });
  const model = createLanguageModelFromConfig(config, tokenizer.vocabularySize);
  const parameters = initializeParameters(engine, model.parameters, randomKey(1));
  options = { engine, model, parameters, split, tokenizer, batchSize: 2, computeDType: 'float32', summarizeTrace: routingReader(config, 1) };
  losses = [];
  for (let target = 1; target < tokens.length; target++) {
    const start = Math.floor((target - 1) / LENGTH) * LENGTH;
    const window = Int32Array.from({ length: LENGTH }, (_, i) => tokens[start + i] ?? 0);
    const context = { training: false, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' } as const;
    const logits = Array.from(await engine.scope(() => model.logitsAt(parameters, engine.tensor(window), { batch: 1, length: LENGTH }, target - 1 - start, context)).data());
    const peak = Math.max(...logits);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - peak), 0);
    losses.push(Math.log(total) + peak - logits[tokens[target]!]!);
  }
});

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const bytesOf = (targets: readonly number[]): number => sum(targets.filter((token) => token !== tokenizer.endOfText).map((token) => tokenizer.tokenBytes(token).length));

describe('evaluate', () => {
  it.each([1, 2, 4, 16])('sums the losses of every token but the first, %i windows at a time', async (batchSize) => {
    const result = await evaluate({ ...options, batchSize });
    expect(result.tokens).toBe(69);
    expect(result.loss).toBeCloseTo(sum(losses) / 69, 5);
    expect(result.perplexity).toBeCloseTo(Math.exp(result.loss), 10);
    expect(result.bytes).toBe(bytesOf(tokens.slice(1)));
    expect(result.bitsPerByte).toBeCloseTo(sum(losses) / Math.LN2 / bytesOf(tokens.slice(1)), 5);
  });

  it('scores the first windows only, in bits of their own bytes', async () => {
    const result = await evaluate({ ...options, maxWindows: 3 });
    expect(result.tokens).toBe(24);
    expect(result.loss).toBeCloseTo(sum(losses.slice(0, 24)) / 24, 5);
    expect(result.bytes).toBe(bytesOf(tokens.slice(1, 25)));
    expect(result.bitsPerByte).toBeCloseTo(sum(losses.slice(0, 24)) / Math.LN2 / result.bytes, 5);
  });

  it('weighs batches by their tokens, and leaves padding out of the routing', async () => {
    const [apart, together] = [await evaluate({ ...options, batchSize: 2 }), await evaluate({ ...options, batchSize: 9 })];
    const [{ summary: a }, { summary: b }] = [apart.routing[0]!, together.routing[0]!];
    expect(apart.routing.map(({ layer }) => layer)).toEqual(['h.1']);
    expect(a.expertsPerToken).toBeCloseTo(b.expertsPerToken, 10);
    expect(a.expertsPerToken * 69).toBeCloseTo(Math.round(a.expertsPerToken * 69), 6); // a whole number of claims
    a.load.forEach((share, expert) => expect(share).toBeCloseTo(b.load[expert]!, 10));
    expect(sum(a.load)).toBeCloseTo(1, 10);
    expect(a.executedFlops).toBeCloseTo(b.executedFlops, 0);
  });

  it('tells how far it is and ends early when asked, leaving nothing on the device', async () => {
    const before = engine.memory().buffers;
    const shares: number[] = [];
    const result = await evaluate({ ...options, onProgress: (share) => shares.push(share), stopped: () => shares.length === 3 });
    expect(shares.map((share) => share * 9)).toEqual([2, 4, 6]);
    expect(result.tokens).toBe(6 * LENGTH);
    await evaluate(options);
    expect(engine.memory().buffers).toBe(before);
  });

  it('draws noise only where the router is asked to in evaluation, and the same each time', async () => {
    const lossOf = async (router: Record<string, unknown>): Promise<number> => {
      const config = await configs.resolve({ preset: 'tiny', flags: { 'context-length': String(LENGTH), width: '16', heads: '2', hidden: '16', experts: '4', 'expert-hidden': '8', dispatch: 'grouped' } });
      const model = createLanguageModelFromConfig({ ...config, moe: { ...config.moe!, router: { type: 'topk', k: 2, ...router } } }, tokenizer.vocabularySize);
      return (await evaluate({ ...options, model, parameters: initializeParameters(engine, model.parameters, randomKey(1)) })).loss;
    };
    const clean = await lossOf({});
    expect(await lossOf({ noise: true })).toBe(clean);
    const noisy = await lossOf({ noise: true, noiseInEvaluation: true });
    expect(noisy).not.toBe(clean);
    expect(await lossOf({ noise: true, noiseInEvaluation: true })).toBe(noisy);
  });
});

it.each([2, 4, 8])('%i ranks, some of them without a batch, find what one process does, to the bit', async (size) => {
  const alone = await evaluate(options);
  for (const result of await Promise.all(createCommTeam(size).map((comm) => evaluate({ ...options, ranks: oneGroup(comm) })))) expect(result).toEqual(alone);
});
