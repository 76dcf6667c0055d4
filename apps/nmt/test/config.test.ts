// Presets and flags: what configuration they make, and what is said of those that make none. The shared rules are in the tests
// of xmoe-lm.
import { describe, expect, it } from 'vitest';
import { checkResumable, configs } from '../src/config.js';
import { translationRunSchema } from '@xmoe/models';

describe('presets', () => {
  it('all resolve, say what they are and set no unknown key', async () => {
    const presets = await configs.presets();
    expect(presets.length).toBeGreaterThan(8);
    for (const [preset, description] of presets) {
      expect(description, preset).not.toBe('');
      const config = await configs.resolve({ preset });
      expect(translationRunSchema.parse(config), preset).toEqual(config);
    }
  });

  it('the paper’s have its recipe and equal FLOPs: γ·s is the same', async () => {
    const names = (await configs.presets()).map(([name]) => name).filter((name) => name.startsWith('paper-'));
    const all = await Promise.all(names.map((preset) => configs.resolve({ preset })));
    for (const { model, train, decoding, data } of all) {
      expect(model).toMatchObject({ width: 512, heads: 8, hidden: 2048, encoderLayers: 12, decoderLayers: 6, dropout: 0.3, labelSmoothing: 0.1, activation: 'relu', tiedEmbeddings: 'decoder' });
      expect(train).toMatchObject({ schedule: 'inverse-square-root', learningRate: 5e-4, warmupSteps: 512, beta1: 0.9, beta2: 0.98, updateTokens: 1_000_000, weightDecay: 0 });
      expect(decoding.beam).toBe(5);
      expect(data.tokenizer).toMatchObject({ type: 'bpe', vocabularySize: 32_000 });
    }
    const sparse = all.flatMap(({ moe }) => moe ?? []);
    expect(sparse).toHaveLength(all.length - 1);
    for (const moe of sparse) {
      expect(moe.capacityFactor * moe.expertHidden).toBe(2048);
      expect(moe.experts * moe.expertHidden).toBe(32 * 2048);
      expect(moe.side).toBe('encoder');
      if (moe.router.type === 'topk') expect(moe.router.k).toBe(moe.capacityFactor);
      if (moe.router.type === 'threshold') expect(moe.router.threshold).toBe(0.9);
    }
    expect(new Set(sparse.map(({ router }) => router.type))).toEqual(new Set(['threshold', 'topk', 'switch', 'hash', 'base']));
  });
});

describe('flags', () => {
  const withFlags = (flags: Record<string, string>, more = {}) => configs.resolve({ preset: 'tiny', flags, ...more });

  it('set the key of their name, or of their alias', async () => {
    const config = await withFlags({ source: 'ru', 'max-steps': '30', threshold: '0.8', 'vocabulary-size': '777', beam: '3', side: 'both', 'updateTokens': '5000' });
    expect(config.data).toMatchObject({ sourceLanguage: 'ru', targetLanguage: 'en', tokenizer: { type: 'bpe', vocabularySize: 777 } });
    expect(config.train).toMatchObject({ steps: 30, updateTokens: 5000 });
    expect(config.moe).toMatchObject({ side: 'both', router: { type: 'threshold', threshold: 0.8 } });
    expect(config.decoding.beam).toBe(3);
    expect((await withFlags({}, { data: ['a.tsv', 'b::c'] })).data.files).toEqual(['a.tsv', 'b::c']);
  });

  it.each([
    [{ 'batch-tokens': '50' }, 'train.batchTokens 50 is less than data.maximumTokens'],
    [{ every: '3' }, 'moe.every 3 exceeds the 2 layers of moe.side encoder'],
    [{ width: '30' }, 'model.width 30 is not a multiple of model.heads'],
    [{ positions: 'learned', 'context-length': '20' }, 'model.contextLength 20 is less than data.maximumTokens'],
    [{ 'average-checkpoints': '9' }, 'train.averageCheckpoints 9 exceeds train.keepCheckpoints'],
    [{ target: 'xx' }, 'no tokenizer is known for the language code "xx"'],
    [{ target: 'ja' }, 'the tokenizer ja-mecab'],
    [{ 'bleu-tokenizer': '13b' }, 'did you mean "13a"?'],
    [{ souce: 'ru' }, 'unknown flag --souce, did you mean --source?'],
    [{ 'expert-hiden': '8' }, 'did you mean --expert-hidden?'],
  ] as [Record<string, string>, string][])('%j is refused', async (flags, message) => {
    await expect(withFlags(flags)).rejects.toThrow(message);
  });

  it('a target without a tokenizer of its own takes the one named', async () => {
    expect((await withFlags({ source: 'en', target: 'ja', 'bleu-tokenizer': 'char' })).train.bleuTokenizer).toBe('char');
  });
});

it('a resumed run may change how it is looked at and decoded, and nothing else', async () => {
  const before = await configs.resolve({ preset: 'tiny' });
  const check = async (flags: Record<string, string>) => checkResumable(before, await configs.resolve({ preset: 'ignored', base: before, flags }), 'run');
  await check({ 'eval-every': '7', 'scored-pairs': 'null', 'keep-checkpoints': '5', 'average-checkpoints': '3', beam: '9', 'length-penalty': '0.6', patience: '4' });
  await expect(check({ 'label-smoothing': '0.2' })).rejects.toThrow('model.labelSmoothing was 0.1 and is now 0.2');
  await expect(check({ side: 'both' })).rejects.toThrow('moe.side was "encoder" and is now "both"');
  await expect(check({ source: 'fr' })).rejects.toThrow('data.sourceLanguage');
});
