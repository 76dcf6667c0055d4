// The sizes of the paper's models, counted by hand, and which layers have experts.
import { countParameters } from '@xmoe/core';
import { describe, expect, it } from 'vitest';
import { createTranslationModelFromConfig, droplessTranslationConfig, translationModelSize } from '@xmoe/models';
import { translationConfigs as configs } from './configs.js';
import { translationLayerHasExperts } from '../src/translation/translation-model.js';

const V = 32_000;
const d = 512;

async function sizeOf(preset: string) {
  const config = await configs.resolve({ preset });
  return translationModelSize(config, V);
}

const feedForward = (hidden: number): number => 2 * d * hidden + hidden + d;
const attention = 4 * d * d + 4 * d;
const norm = 2 * d;
/** Two embeddings (the decoder's is the output projection), 12 + 6 layers, a final norm on each side. */
const DENSE = 2 * V * d + 12 * (attention + 2 * norm + feedForward(2048)) + 6 * (2 * attention + 3 * norm + feedForward(2048)) + 2 * norm;

describe('modelSize of the paper’s presets', () => {
  it('dense: 95,822,848 parameters, and the FLOPs of every weight that a token meets', async () => {
    const size = await sizeOf('paper-dense');
    expect(size.parameters).toBe(DENSE);
    expect(size.parameters).toBe(95_822_848);
    expect(size.trainingBytes).toBe(95_822_848 * 16);
    // A source token: 12 layers of 4 d² + 2·d·2048, and the keys and values of 6 layers of cross-attention.
    expect(size.activePerSource).toBe(12 * (4 * d * d + 2 * d * 2048) + 6 * 2 * d * d);
    // A target token: 6 layers of self-attention, queries and output of cross-attention, feed-forward; the vocabulary.
    expect(size.activePerTarget).toBe(6 * (6 * d * d + 2 * d * 2048) + V * d);
    // Scores and mixtures of 32 × 32 tokens, 4·d FLOPs each: 12 encoder layers, 6 across, 6 half in the causal decoder.
    const scores = (4 * d * 32 * 32 * (12 + 6 + 3)) / 32;
    expect(size.flopsPerPairToken(32)).toBe(6 * (size.activePerSource + size.activePerTarget) + 3 * scores);
    expect(size.flopsPerPairToken(32)).toBe(479_920_128);
  });

  it.each([
    ['paper-switch-32x2048', 32, 2048, 486_467_584, 480_509_952],
    ['paper-base-32x2048', 32, 2048, 486_467_584, 480_509_952],
    ['paper-topk-64x1024', 64, 1024, 486_664_192, 481_099_776],
    ['paper-xmoe-64x1024', 64, 1024, 486_664_192, 481_099_776],
    ['paper-topk-128x512', 128, 512, 487_057_408, 482_279_424],
    ['paper-xmoe-128x512', 128, 512, 487_057_408, 482_279_424],
  ])('%s: experts and gates in 6 encoder layers; as expensive as dense but for the gates', async (preset, experts, hidden, parameters, flops) => {
    const size = await sizeOf(preset);
    expect(size.parameters).toBe(DENSE + 6 * (experts * feedForward(hidden) + d * experts - feedForward(2048)));
    expect(size.parameters).toBe(parameters);
    expect(size.flopsPerPairToken(32)).toBe(479_920_128 + 6 * 6 * d * experts);
    expect(size.flopsPerPairToken(32)).toBe(flops);
  });

  it('counts what a model that is built has', async () => {
    for (const set of [[], ['moe.side=both', 'moe.sharedHidden=24'], ['moe.side=both', 'model.tiedEmbeddings=decoder'], ['model.norm=post', 'moe.side=decoder', 'model.positions=learned'], ['moe=null']]) {
      const config = await configs.resolve({ preset: 'tiny', set });
      expect(translationModelSize(config, 300).parameters).toBe(countParameters(createTranslationModelFromConfig(config, 300).parameters));
    }
  });

  it('hash has no gate', async () => {
    const [hash, base] = [await sizeOf('paper-hash-32x2048'), await sizeOf('paper-base-32x2048')];
    expect(base.parameters - hash.parameters).toBe(6 * d * 32);
    expect(hash.flopsPerPairToken(32)).toBe(479_920_128);
  });
});

describe('hasExperts', () => {
  const layersOf = async (flags: Record<string, string>) => {
    const config = await configs.resolve({ preset: 'paper-xmoe-64x1024', flags });
    const of = (side: 'encoder' | 'decoder', depth: number): number[] => Array.from({ length: depth }, (_, index) => index + 1).filter((index) => translationLayerHasExperts(config, side, index));
    return [of('encoder', 12), of('decoder', 6)];
  };
  it.each([
    [{}, [[2, 4, 6, 8, 10, 12], []]],
    [{ side: 'decoder' }, [[], [2, 4, 6]]],
    [{ side: 'both', every: '3' }, [[3, 6, 9, 12], [3, 6]]],
    [{ side: 'both', every: '1' }, [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [1, 2, 3, 4, 5, 6]]],
  ] as [Record<string, string>, number[][]][])('%j', async (flags, expected) => {
    expect(await layersOf(flags)).toEqual(expected);
  });

  it('the parameters are where they are said to be', async () => {
    const config = await configs.resolve({ preset: 'tiny', flags: { side: 'both', width: '16', heads: '2', hidden: '16', 'expert-hidden': '8' } });
    const names = createTranslationModelFromConfig(config, 300).parameters.map(({ name }) => name).filter((name) => name.endsWith('router.weight'));
    expect(names).toEqual(['encoder.h.1.moe.router.weight', 'decoder.h.1.moe.router.weight']);
  });
});

describe('dropless', () => {
  const routing = async (router: string, threshold: string) => {
    const config = await configs.resolve({ preset: 'tiny', router, flags: { dispatch: 'budget' }, set: [`decoding.threshold=${threshold}`] });
    const { dispatch, router: used } = droplessTranslationConfig(config).moe!;
    return { dispatch, used, trained: config.moe!.router };
  };
  it('has the threshold of decoding, which training does not see', async () => {
    expect(await routing('threshold', '0.25')).toEqual({ dispatch: 'grouped', used: { type: 'threshold', threshold: 0.25 }, trained: { type: 'threshold', threshold: 0.9 } });
  });
  it('keeps that of training without one, and routers that have none', async () => {
    expect((await routing('threshold', 'null')).used).toEqual({ type: 'threshold', threshold: 0.9 });
    expect((await routing('topk', '0.25')).used).toEqual({ type: 'topk', k: 4 });
  });
});
