// The sizes of the paper's models (Table 1 and section 4.1), and what is said of a model without running it.
import { countParameters } from '@xmoe/core';
import { describe, expect, it } from 'vitest';
import { bytesOf, createLanguageModelFromConfig, languageMemoryNeeds, languageModelSize, type LanguageConfig } from '@xmoe/models';
import { languageConfigs as configs } from './configs.js';
import { languageLayerHasExperts } from '../src/language/language-model.js';

const VOCABULARY = 50257;

async function sizeOf(preset: string) {
  const config = await configs.resolve({ preset });
  return { config, size: languageModelSize(config, VOCABULARY) };
}

/** A hash router has no gate. */
const gateSize = (width: number, moe: NonNullable<LanguageConfig['moe']>): number => (moe.router.type === 'hash' ? 0 : width * moe.experts);

/** Counted by hand: embeddings, 12 layers of attention and norms, 6 of them dense and 6 with experts and a gate. */
function expected(width: number, hidden: number, moe: LanguageConfig['moe']): number {
  const attention = 4 * width * width + 4 * width;
  const norms = 4 * width;
  const feedForward = (size: number): number => 2 * width * size + size + width;
  const expertLayer = moe ? moe.experts * feedForward(moe.expertHidden) + gateSize(width, moe) : feedForward(hidden);
  return (VOCABULARY + 1024) * width + 12 * (attention + norms) + 6 * (feedForward(hidden) + expertLayer) + 2 * width;
}

describe('modelSize', () => {
  it('124M dense is GPT-2: 124,439,808 parameters', async () => {
    const { size } = await sizeOf('124m-dense');
    expect(size.parameters).toBe(124_439_808);
    expect(size.trainingBytes).toBe(124_439_808 * 16);
    // Multiplications of a token: everything but position and token look-up, norms and biases.
    const weights = VOCABULARY * 768 + 12 * (4 * 768 ** 2 + 2 * 768 * 3072);
    expect(size.activeParameters).toBe(weights);
    expect(size.flopsPerToken).toBe(6 * weights + 6 * 12 * 1024 * 768);
  });

  it('every 323M and 556M preset has the size of its name, and costs as much as its dense model but for the gate', async () => {
    const names = (await configs.presets()).map(([name]) => name).filter((name) => /^(323|556)m/.test(name));
    for (const name of names) {
      const { config, size } = await sizeOf(name);
      const { width, hidden } = config.model;
      expect(size.parameters, name).toBe(expected(width, hidden, config.moe));
      expect(Math.abs(size.parameters / (Number(name.slice(0, 3)) * 1e6) - 1), name).toBeLessThan(0.006);
      const dense = VOCABULARY * width + 12 * (4 * width ** 2 + 2 * width * hidden);
      expect(size.activeParameters - dense, name).toBe(6 * gateSize(width, config.moe!));
    }
  });

  it('counts what a model that is built has', async () => {
    const cases: readonly { router?: string; flags?: Record<string, string> }[] = [{}, { router: 'hash' }, { router: 'dense' }, { router: 'topk', flags: { every: '1', layers: '3' } }, { router: 'null-experts', flags: { 'shared-hidden': '24' } }];
    for (const flags of cases) {
      const config = await configs.resolve({ preset: 'tiny', ...flags });
      expect(languageModelSize(config, 300).parameters).toBe(countParameters(createLanguageModelFromConfig(config, 300).parameters));
    }
  });

  it('says what each rank holds: of spread experts its part, and the moments of its share of all', async () => {
    const { config, size } = await sizeOf('556m-xmoe-64x512');
    const needs = (train: Partial<LanguageConfig['train']>, ranks?: number) => languageMemoryNeeds({ ...config, train: { ...config.train, ...train } }, VOCABULARY, ranks).needs;
    expect(bytesOf(needs({}, 8)) - 4 * needs({}).activations).toBe(size.trainingBytes);
    expect(needs({ shardOptimizer: true }, 8)).toEqual({ ...needs({}), moments: Math.ceil(size.parameters / 8) });
    const { width } = config.model;
    const quarter = size.parameters - 6 * 48 * (2 * width * 512 + 512 + width);
    expect(needs({ expertParallel: 4 })).toMatchObject({ parameters: quarter, moments: quarter });
    expect(needs({ expertParallel: 4, shardOptimizer: true }, 8)).toMatchObject({ parameters: quarter, moments: Math.ceil(size.parameters / 8) });
  });

  it('puts experts in layers 2, 4, … unless told otherwise', async () => {
    const config = await configs.resolve({ preset: '323m-xmoe-8x3072' });
    expect(Array.from({ length: 12 }, (_, i) => languageLayerHasExperts(config, i + 1)).filter(Boolean)).toHaveLength(6);
    expect([languageLayerHasExperts(config, 1), languageLayerHasExperts(config, 2)]).toEqual([false, true]);
    const third = await configs.resolve({ preset: '323m-xmoe-8x3072', flags: { every: '3' } });
    expect([1, 2, 3, 4, 5, 6].filter((index) => languageLayerHasExperts(third, index))).toEqual([3, 6]);
  });
});
