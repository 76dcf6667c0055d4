// Presets, flags and routers: what configuration they make, and what is said of those that make none.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROUTER_NAMES } from '@xmoe/models/sections';
import type { JsonObject } from '@xmoe/files';
import { languagePresets } from '@xmoe/models/presets';
import { checkResumable, configs } from '../src/config.js';
import { languageRunSchema } from '@xmoe/models';
import { temporaryFolder } from './support.js';

const path = temporaryFolder();

describe('presets', () => {
  it('all resolve, say what they are and set no unknown key', async () => {
    const presets = await configs.presets();
    expect(presets.length).toBeGreaterThan(20);
    for (const [preset, description] of presets) {
      expect(description, preset).not.toBe('');
      const config = await configs.resolve({ preset });
      expect(languageRunSchema.parse(config), preset).toEqual(config);
    }
  });

  it.each(['323m', '556m'])('%s: every router of the paper at equal FLOPs: γ·s is the same', async (size) => {
    const names = (await configs.presets()).map(([name]) => name).filter((name) => name.startsWith(size));
    const all = await Promise.all(names.map((preset) => configs.resolve({ preset })));
    const budgets = all.map(({ moe }) => moe!.capacityFactor * moe!.expertHidden);
    expect(new Set(budgets)).toEqual(new Set([all[0]!.model.hidden]));
    expect(new Set(all.map(({ moe }) => moe!.experts * moe!.expertHidden)).size).toBe(1);
    expect(new Set(all.map(({ moe }) => moe!.router.type))).toEqual(new Set(['threshold', 'topk', 'switch', 'hash', 'base']));
    for (const { moe } of all) if (moe!.router.type === 'topk') expect(moe!.router.k).toBe(moe!.capacityFactor);
  });

  it('may be a file of one’s own that extends a shipped one', async () => {
    const own = path('mine.json');
    writeFileSync(own, JSON.stringify({ extends: 'tiny', model: { width: 32 } }));
    const [mine, tiny] = [await configs.resolve({ preset: own }), await configs.resolve({ preset: 'tiny' })];
    expect(mine).toEqual({ ...tiny, model: { ...tiny.model, width: 32 } });
    await expect(configs.resolve({ preset: path('none.json') })).rejects.toThrow('cannot read the preset file');
    writeFileSync(own, JSON.stringify({ extends: 'tinny' }));
    await expect(configs.resolve({ preset: own })).rejects.toThrow(/"tinny".*tiny/);
  });

  it('fill in what a file leaves out', async () => {
    const file = languagePresets.tiny as { train: JsonObject };
    const config = await configs.resolve({ preset: 'tiny' });
    expect(file.train.weightDecay).toBeUndefined();
    expect(config.train).toMatchObject({ weightDecay: 0.1, beta1: 0.9, beta2: 0.95, clipNorm: 1, precision: 'float32', accumulation: 1 });
    expect(config.moe).toMatchObject({ minCapacity: 4, balanceCoefficient: 0.01, init: 'independent' });
    expect((await configs.resolve({ preset: '124m-dense' })).train.testWindows).toBeNull();
  });
});

describe('flags', () => {
  const withFlags = (flags: Record<string, string | true>, more = {}) => configs.resolve({ preset: 'tiny', flags, ...more });

  it('set the key of their name, or of their alias', async () => {
    const config = await withFlags({
      'max-steps': '30', 'learning-rate': '1e-3', threshold: '0.8', 'capacity-factor': '3', dispatch: 'grouped', seed: '9', 'model.width': '32', weightDecay: '0',
    });
    expect(config.train).toMatchObject({ steps: 30, learningRate: 1e-3, seed: 9, weightDecay: 0 });
    expect(config.moe).toMatchObject({ capacityFactor: 3, dispatch: 'grouped', router: { type: 'threshold', threshold: 0.8 } });
    expect(config.model.width).toBe(32);
  });

  it('come before --set, and --data becomes absolute', async () => {
    const config = await withFlags({ experts: '4' }, { set: ['moe.experts=16'], data: ['some/text.txt'] });
    expect(config.moe!.experts).toBe(16);
    expect(config.data.files).toEqual([join(process.cwd(), 'some/text.txt')]);
  });

  it.each([
    [{ 'learning-rat': '1' }, 'unknown flag --learning-rat, did you mean --learning-rate?'],
    [{ bacend: 'cpu' }, 'unknown flag --bacend, did you mean --backend?'],
    [{ qqqqqqqqqqqq: '1' }, 'unknown flag --qqqqqqqqqqqq'],
    [{ 'max-steps': 'many' }, 'train.steps: expected number, got "many"'],
    [{ 'max-steps': '0' }, 'train.steps'],
    [{ 'batch-size': '2.5' }, 'train.batchSize'],
    [{ dispatch: 'gruped' }, 'did you mean "grouped"?'],
    [{ width: '30' }, 'model.width 30 is not a multiple of model.heads 4'],
    [{ every: '3' }, 'moe.every 3 exceeds model.layers 2'],
    [{ 'test-fraction': '0.99' }, 'no text is left to train on'],
    [{ k: '2' }, 'unknown key moe.router.k'],
    [{ seed: true }, 'train.seed'],
    [{ noise: 'true' }, 'unknown key moe.router.noise'],
  ] as const)('%j is refused', async (flags, message) => {
    await expect(withFlags(flags as Record<string, string>, { otherOptions: ['backend', 'out'] })).rejects.toThrow(message);
  });

  it('of --set: unknown keys are named with the nearest', async () => {
    await expect(withFlags({}, { set: ['model.widht=8'] })).rejects.toThrow(/unknown key model\.widht.*did you mean "width"/);
    await expect(withFlags({}, { set: ['nonsense'] })).rejects.toThrow('expected key.path=value');
    await expect(withFlags({}, { set: ['__proto__.x=1'] })).rejects.toThrow('not allowed');
  });
});

describe('--router', () => {
  it.each(ROUTER_NAMES)('%s replaces the router of the preset', async (router) => {
    const config = await configs.resolve({ preset: 'tiny', router });
    expect(config.moe?.router.type ?? 'dense').toBe(router);
  });

  it('keeps the settings of the same router, and gives top-k as many choices as the budget pays for', async () => {
    const flags = { threshold: '0.5' };
    expect((await configs.resolve({ preset: 'tiny', router: 'threshold', flags })).moe!.router).toEqual({ type: 'threshold', threshold: 0.5 });
    expect((await configs.resolve({ preset: '323m-xmoe-64x384', router: 'topk' })).moe!.router).toEqual({ type: 'topk', k: 8 });
    await expect(configs.resolve({ preset: 'tiny', router: 'topk', flags: { k: '9' } })).rejects.toThrow('moe.router.k 9 exceeds moe.experts 8');
  });

  it('refuses what is no router, and experts for a dense preset', async () => {
    await expect(configs.resolve({ preset: 'tiny', router: 'treshold' })).rejects.toThrow('did you mean threshold?');
    for (const flag of ['experts', 'k', 'balance-coefficient']) {
      await expect(configs.resolve({ preset: 'tiny', router: 'dense', flags: { [flag]: '2' } })).rejects.toThrow(/--[a-z-]+ is about experts, and the model is dense/);
    }
    await expect(configs.resolve({ preset: '124m-dense', router: 'topk' })).rejects.toThrow('the preset is dense');
  });
});

describe('the warm-up of a preset', () => {
  const warmup = async (preset: string, flags: Record<string, string>) => (await configs.resolve({ preset, flags })).train.warmupSteps;
  it.each([
    ['323m-xmoe-64x384', {}, 6000], ['323m-xmoe-64x384', { 'max-steps': '4000' }, 400], ['323m-xmoe-64x384', { 'max-steps': '2' }, 0],
    ['tiny', { 'max-steps': '30' }, 0], ['tiny', { 'max-steps': '12000' }, 100], ['tiny', { 'max-steps': '30', 'warmup-steps': '7' }, 7],
    ['tiny', { 'max-steps': '60', 'train.warmupSteps': '50' }, 50],
  ] as const)('%s with %j: %i steps', async (preset, flags, steps) => {
    expect(await warmup(preset, flags)).toBe(steps);
  });

  it('is not less than the steps: refused, but in a run to go on with it stays as it is', async () => {
    await expect(warmup('tiny', { 'max-steps': '30', 'warmup-steps': '30' })).rejects.toThrow('train.warmupSteps 30 is not less than train.steps 30');
    const before = await configs.resolve({ preset: 'tiny' });
    const old = { ...before, train: { ...before.train, steps: 20 } }; // as earlier versions allowed
    const resumed = await configs.resolve({ preset: 'ignored', base: old });
    expect(resumed.train).toMatchObject({ steps: 20, warmupSteps: 50 });
    expect((await configs.resolve({ preset: 'ignored', base: old, flags: { 'max-steps': '900' } })).train.warmupSteps).toBe(50);
  });
});

describe('a resumed run', () => {
  it('may change how often it reports, its steps and its learning rate, and nothing else', async () => {
    const before = await configs.resolve({ preset: 'tiny' });
    const check = async (flags: Record<string, string>) => checkResumable(before, await configs.resolve({ preset: 'ignored', base: before, flags }), 'run');
    await check({ 'eval-every': '7', 'test-windows': 'null', 'keep-checkpoints': '5' });
    await check({ 'max-steps': '5000', 'learning-rate': '1e-3', 'final-learning-rate': '0' });
    await expect(check({ width: '128' })).rejects.toThrow('run belongs to another configuration: model.width was 64 and is now 128');
    await expect(check({ seed: '7' })).rejects.toThrow('train.seed was 1 and is now 7');
    const dense = await configs.resolve({ preset: 'ignored', base: before, router: 'dense' });
    expect(() => checkResumable(before, dense, 'run')).toThrow(/moe\.experts was 8 and is now absent/);
  });
});
