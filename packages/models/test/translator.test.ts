// Translating ids: order, batches that change nothing, sampling by number, stopping; and the loss of references.
import { createWasmBackend } from '@xmoe/backend-cpu';
import { createEngine, initializeParameters, randomKey } from '@xmoe/core';
import { createTranslationModelFromConfig, createTranslator, type DecodingOptions, droplessTranslationConfig, uploadBatch } from '@xmoe/models';
import { collatePairs } from '@xmoe/text';
import { afterAll, describe, expect, it } from 'vitest';
import { translationConfigs as configs } from './configs.js';
import { createUploader, disposeBatch, shapeOf, uploadSources } from '../src/translation/device-batches.js';

const engine = createEngine(await createWasmBackend());
afterAll(() => engine.dispose());
const config = await configs.resolve({
  preset: 'tiny', flags: { width: '32', heads: '2', hidden: '32', 'expert-hidden': '16', experts: '4', side: 'both', every: '1', 'init-std': '0.4', dispatch: 'budget' },
});
const tokens = { padding: 41, beginOfSentence: 42, endOfSentence: 40 };
const model = createTranslationModelFromConfig(droplessTranslationConfig(config), 43);
const parameters = initializeParameters(engine, model.parameters, randomKey(5));
const translator = createTranslator({ engine, config, model, parameters, tokens });
const options: DecodingOptions = { beam: 2, lengthPenalty: 1, maxLengthRatio: 1, maxLengthExtra: 3 };

/** Sources of 1 to 23 tokens and an end, in no order of length. */
const sources = Array.from({ length: 40 }, (_, number) =>
  Int32Array.from([...Array.from({ length: 1 + ((number * 7) % 23) }, (__, index) => (number * 3 + index * 11) % 40), tokens.endOfSentence]));

describe('createTranslator', () => {
  it('gives every source its own translation, in order, whatever it is batched with', async () => {
    const shares: number[] = [];
    const together = await translator.translate(sources, { ...options, onProgress: (share) => shares.push(share) });
    expect(shares.at(-1)).toBe(1);
    expect([...shares].sort((a, b) => a - b)).toEqual(shares);
    for (const number of [0, 3, 17, 39]) expect((await translator.translate([sources[number]!], options))[0]).toEqual(together[number]);
    together.forEach(([best], number) => {
      expect(best!.tokens.length).toBeLessThanOrEqual(sources[number]!.length + 3);
      expect(best!.tokens.every((token) => token < 40)).toBe(true);
    });
    expect(new Set(together.map(([best]) => best!.tokens.join())).size).toBeGreaterThan(10);
  });

  it('a budget would let other sentences change a result: that is why nothing is dropped', async () => {
    const limited = createTranslator({ engine, config, model: createTranslationModelFromConfig({ ...config, moe: { ...config.moe!, capacityFactor: 1 } }, 43), parameters, tokens });
    const together = await limited.translate(sources, options);
    const alone = await Promise.all(sources.map(async (source) => (await limited.translate([source], options))[0]!));
    expect(alone).not.toEqual(together);
  });

  const sampling = { temperature: 1, topK: 0, topP: 1, seed: 4 };
  const numbered = (lines: readonly number[], part = 0) => lines.map((line) => [line, part] as const);

  it('samples by line and part, whatever else is translated', async () => {
    const all = await translator.translate(sources.slice(0, 6), { ...options, sampling });
    const some = (lines: readonly number[], part?: number) => translator.translate(sources.slice(2, 4), { ...options, sampling, numbers: numbered(lines, part) });
    expect(await some([2, 3])).toEqual(all.slice(2, 4));
    expect(await some([3, 4])).not.toEqual(all.slice(2, 4));
    expect(await some([2, 3], 1)).not.toEqual(all.slice(2, 4));
    expect(await translator.translate(sources.slice(0, 6), { ...options, sampling: { ...sampling, seed: 5 } })).not.toEqual(all);
  });

  it('draws several samples of a source, the first of them the same however many there are', async () => {
    const [one, four] = await Promise.all([1, 4].map((nBest) => translator.translate(sources.slice(0, 3), { ...options, sampling, nBest })));
    expect(four!.map((hypotheses) => hypotheses.length)).toEqual([4, 4, 4]);
    expect(four!.map((hypotheses) => hypotheses.slice(0, 1))).toEqual(one);
    for (const hypotheses of four!) expect(new Set(hypotheses.map((hypothesis) => hypothesis.tokens.join())).size).toBeGreaterThan(1);
  });

  it('stops between two positions, with nothing left on the device', async () => {
    const { buffers } = engine.memory();
    let asked = 0;
    expect(await translator.translate(sources, { ...options, stopped: () => ++asked > 2 })).toEqual([]);
    expect(asked).toBe(3);
    expect(engine.memory().buffers).toBe(buffers);
  });

  it('of learned positions allows no more than there are', async () => {
    const learned = await configs.resolve({ preset: 'tiny', flags: { positions: 'learned', 'context-length': '96', width: '16', heads: '2' } });
    const few = { ...learned, model: { ...learned.model, contextLength: 6 } };
    const small = createTranslationModelFromConfig(droplessTranslationConfig(few), 43);
    const own = createTranslator({ engine, config: few, model: small, parameters: initializeParameters(engine, small.parameters, randomKey(1)), tokens });
    const found = await own.translate([Int32Array.from([1, 2, 40])], { ...options, maxLengthExtra: 50 });
    expect(found[0]![0]!.tokens.length).toBeLessThanOrEqual(5); // the begin of sentence takes one
  });
});

describe('batches on the device', () => {
  const pairs = [[5, 6, 7], [8]].map((ids) => ({ source: Int32Array.from([...ids, 40]), target: Int32Array.from([...ids, 9, 40]) }));
  it('of one shape share their tensors, with the contents of the last', async () => {
    const upload = createUploader(engine, 43);
    const [first, again, other] = [collatePairs(pairs, tokens), collatePairs([...pairs].reverse(), tokens), collatePairs(pairs.slice(1), tokens)];
    expect(shapeOf(first)).toBe(shapeOf(again));
    const device = upload(first);
    expect(upload(again)).toBe(device);
    expect(Array.from(await device.source.tokens.data())).toEqual([8, 40, 41, 41, 5, 6, 7, 40]);
    expect(Array.from(await device.labels.data())).toEqual([8, 9, 40, -1, -1, 5, 6, 7, 9, 40]);
    expect(upload(other)).not.toBe(device);
  });

  it('of ids that the model does not have are refused, by name', () => {
    const batch = collatePairs(pairs, tokens);
    expect(() => createUploader(engine, 41)(batch)).toThrow('source[6] is 41: no id of a vocabulary of 41');
    expect(() => uploadBatch(engine, { ...batch, targetInput: batch.targetInput.map(() => 43) }, 43)).toThrow('target[0] is 43');
    expect(() => uploadBatch(engine, { ...batch, targetOutput: batch.targetOutput.map((id) => (id < 0 ? id : 43)) }, 43)).toThrow('labels[0] is 43');
    expect(() => uploadSources(engine, [Int32Array.of(1, -1)], 0, 42)).toThrow('source[1] is -1');
  });

  it('mask padding on both sides', async () => {
    const batch = uploadBatch(engine, collatePairs(pairs, tokens), 43);
    expect(Array.from(await batch.source.mask.data(), Number)).toEqual([1, 1, 1, 1, 1, 1, 0, 0]);
    expect(Array.from(await batch.target.mask.data(), Number)).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
    disposeBatch(batch.source.tokens, batch.source.mask, batch.target.tokens, batch.target.mask, batch.labels);
  });
});
