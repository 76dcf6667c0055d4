// compare: seeds become groups with paired differences, runs without a result say so, and what is not comparable is refused by name.
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@xmoe/testing/programs';
import { afterAll, describe, expect, it } from 'vitest';
import { compareCommand } from '../../src/compare/compare-command.js';
import { meanCurve } from '../../src/compare/compare-runs.js';
import { toyProgram, writeRun, type ToyRun } from './toy-runs.js';

const path = temporaryFolder(afterAll);
const run = (name: string, facts: ToyRun): string => writeRun(path(name), facts);

async function compare(runs: readonly string[], options: { json?: boolean; baseline?: string; out?: string } = {}): Promise<string> {
  let text = '';
  const { json: asJson = false, ...others } = options;
  const nothing = (): undefined => undefined;
  const terminal = { output: { write: nothing }, messages: { write: nothing }, exitCode: 0, outliveReaders: nothing, resultElsewhere: nothing, json: asJson };
  await compareCommand({ ...terminal, result: (document, shown) => void (text = asJson ? JSON.stringify(document) : shown) }, toyProgram, runs, others);
  return text;
}
const json = async (runs: readonly string[], options: object = {}) => JSON.parse(await compare(runs, { ...options, json: true }));

/** Three seeds of two thresholds. */
const seeds = [[0.5, 1, 2], [0.5, 2, 2.2], [0.5, 3, 2.4], [0.9, 1, 1.9], [0.9, 2, 2.08], [0.9, 3, 2.3]] as const;
const grid = seeds.map(([threshold, seed, loss]) => run(`t${threshold}-${seed}`, { threshold, seed, loss, train: { evalEvery: seed } }));

describe('groups', () => {
  it('are runs that differ by seed and by when they report; differences are paired by seed', async () => {
    const { groups, differing, baseline, scored, columns } = await json(grid);
    expect(groups.map(({ label, seeds: own }: { label: string; seeds: number[] }) => [label, own])).toEqual([['threshold=0.5', [1, 2, 3]], ['threshold=0.9', [1, 2, 3]]]);
    expect(groups[0]).toMatchObject({ quality: { mean: expect.closeTo(2.2), error: expect.closeTo(0.2 / Math.sqrt(3)) }, difference: null });
    expect(groups[1]).toMatchObject({ difference: { mean: expect.closeTo(-0.32 / 3), error: expect.closeTo(0.00667, 4), count: 3 }, noise: false });
    expect(differing).toEqual([{ key: 'moe.threshold', values: ['0.5', '0.9'] }]);
    expect({ baseline, scored }).toEqual({ baseline: 'threshold=0.5', scored: '100 tokens' });
    expect(columns.map(({ key }: { key: string }) => key)).toEqual(['perplexity', 'modelFlops']); // none that no run has
  });

  it('take another baseline, in any order of the runs', async () => {
    const { groups, baseline } = await json(grid.toReversed(), { baseline: grid[0] });
    expect(baseline).toBe('threshold=0.5');
    expect(groups.find(({ label }: { label: string }) => label === 'threshold=0.9').difference.mean).toBeCloseTo(-0.32 / 3);
    await expect(compare(grid, { baseline: 'elsewhere' })).rejects.toMatchObject({ message: 'the baseline elsewhere is not one of the runs' });
  });

  it('are told apart by the weights that they began with, and by changes on the way', async () => {
    const began = (name: string, fingerprint: string, more = {}) => run(name, { loss: 2, record: { initial: { source: `/somewhere/${name.slice(0, 1)}`, kind: 'run', fingerprint }, ...more } });
    const { groups } = await json([began('a1', 'f'), began('b1', 'g'), began('c1', 'g', { changes: [{ step: 2, changed: { 'train.rate': ['0.2', '0.1'] } }] })]);
    expect(groups.map(({ label }: { label: string }) => label)).toEqual(['initFrom=a', 'initFrom=b', 'changes=from 2 train.rate 0.1, initFrom=c']);
  });

  it('count executed FLOPs of the whole model, dense and with experts', async () => {
    const { groups } = await json([grid[0]!, run('dense', { threshold: null, loss: 3 })]);
    // 4 steps of 8 tokens of 10 FLOPs; experts did half of 40 in each.
    expect(groups.map(({ figures }: { figures: { modelFlops: { mean: number } } }) => figures.modelFlops.mean)).toEqual([4 * (80 - 20), 320]);
    expect(groups[0].training.map(({ flops, seconds }: { flops: number; seconds: number }) => [flops, seconds])).toEqual([[60, 2], [120, 4], [180, 6], [240, 8]]);
    expect(groups[0].routing).toEqual([{ layer: 'h.1', expertsPerToken: 2, dropped: 0, busiest: 3, idle: 2 }]);
    expect(groups[1].routing).toEqual([]);
  });

  it('have curves that are means where both are', () => {
    const point = (step: number, loss: number) => ({ step, loss, flops: step, seconds: step });
    expect(meanCurve([[point(1, 4), point(3, 2), point(5, 1)], [point(1, 6), point(2, 5), point(3, 4)]]).map(({ step, loss }) => [step, loss])).toEqual([[1, 5], [3, 3], [5, 1]]);
    expect(meanCurve([[], []])).toEqual([]);
  });
});

describe('runs without a result', () => {
  it('are shown, say why, and do not count', async () => {
    const unfinished = run('unfinished', { seed: 4, steps: 9 });
    const begun = run('begun', { seed: 5, losses: [], steps: 9 });
    const diverged = run('diverged', { seed: 6, loss: null, losses: [4, 'NaN', 'NaN'], steps: 4 });
    const extended = run('extended', { seed: 7, loss: 1, steps: 4 });
    writeFileSync(join(extended, 'summary.json'), '{"loss":1,"steps":2,"tokens":100}');
    const failed = run('failed', { seed: 8, loss: 1 });
    writeFileSync(join(failed, 'failed.json'), '{"why":"the loss is NaN"}');
    const text = await compare([grid[0]!, unfinished, begun, diverged, extended, failed]);
    for (const why of ['unfinished has no figures: not finished: step 4 of 9', 'begun has no figures: not finished: step 0 of 9', 'diverged has no figures: no test score that is a number', 'extended has no figures: not finished: step 4 of 4', 'failed has no figures: no result: the loss is NaN']) {
      expect(text.replaceAll(/\s+/g, ' ')).toContain(why);
    }
    const { groups } = await json([grid[0]!, diverged]);
    expect(groups[1] ?? groups[0]).toMatchObject({ training: expect.not.arrayContaining([expect.objectContaining({ loss: null })]) });
  });

  it('may be all there are, or one', async () => {
    expect(await compare([run('alone', { steps: 9 })])).toMatch(/^No run has a result[^]*0 of 1/);
    const one = await compare([grid[0]!]);
    expect(one).toContain('Test of 100 tokens, mean ± standard error over seeds\n');
    expect(one).not.toContain('difference');
  });

  it('without a log, or with a torn one, keep their figures', async () => {
    const [bare, torn] = [run('bare', { loss: 2, seed: 1 }), run('torn', { loss: 2.5, seed: 2 })];
    rmSync(join(bare, 'metrics.jsonl'));
    writeFileSync(join(torn, 'metrics.jsonl'), '{"kind":"st\n{}\n');
    const { groups, notes } = await json([bare, torn]);
    expect(groups[0].quality.mean).toBeCloseTo(2.25);
    expect(notes.join('\n')).toMatch(/bare has no metrics\.jsonl[^]*torn\/metrics\.jsonl line 1/);
  });

  it('a copy of a run counts once', async () => {
    const { groups, notes, runs } = await json([grid[0]!, run('copy', { seed: 1, loss: 2 })]);
    expect(groups).toHaveLength(1);
    expect(groups[0].quality.count).toBe(1);
    expect(notes.join()).toContain('copy are those of another run');
    expect(runs.map(({ state }: { state: string }) => state)).toEqual(['finished', 'repeats another run']);
  });

  it('of different seeds have no paired difference', async () => {
    const { groups, notes } = await json([grid[0]!, grid[4]!]);
    expect(groups[1].difference).toBeNull();
    expect(notes.join()).toContain('No two groups have a seed in common');
  });
});

describe('what is not comparable', () => {
  const withData = (name: string, data: string, facts: ToyRun = {}): string => {
    mkdirSync(path(data), { recursive: true });
    return run(name, { loss: 2, data: path(data), ...facts });
  };

  it('is refused by name: other test data, another part of it', async () => {
    const [a, b, c] = [withData('on-a', 'data-a1'), withData('on-b', 'data-b1'), withData('on-a-again', 'data-a2')];
    await expect(compare([a, b])).rejects.toMatchObject({ code: 'config', message: `${b} have other test data than ${a}` });
    expect((await json([a, c])).groups.map(({ label }: { label: string }) => label)).toEqual([expect.stringMatching(/^dataFingerprint=/), expect.any(String)]); // the test alone is the same
    const part = withData('on-part', 'data-a1', { tokens: 50, seed: 2 });
    await expect(compare([a, part])).rejects.toMatchObject({ message: expect.stringContaining(`${part} were scored on another part of the test data (50 tokens, not 100 tokens) than ${a}`) });
  });

  it('is known by the checkpoint where the data are gone, and said where nothing tells', async () => {
    const save = (name: string, fingerprint: string): string => {
      const directory = withData(name, 'gone');
      mkdirSync(join(directory, 'checkpoints', 'step-00000004'), { recursive: true });
      writeFileSync(join(directory, 'checkpoints', 'step-00000004', 'state.json'), JSON.stringify({ version: 1, step: 4, state: { saved: { dataFingerprint: fingerprint } } }));
      return directory;
    };
    const [a, b] = [save('saved-a', 'f'), save('saved-b', 'g')];
    rmSync(path('gone'), { recursive: true });
    await expect(compare([a, b])).rejects.toMatchObject({ message: `${b} have other test data than ${a}` });
    expect((await json([run('mute', { loss: 1 })])).notes.join()).toContain('cannot be seen any more');
  });

  it('is a run of another program, weights, no run, or one twice', async () => {
    const other = run('other', { record: { program: 'xmoe-nmt' } });
    await expect(compare([grid[0]!, other])).rejects.toMatchObject({ message: `${other} is a run of xmoe-nmt`, hint: 'use xmoe-nmt' });
    const weights = run('weights', { record: { trained: false } });
    await expect(compare([weights])).rejects.toMatchObject({ message: `${weights} holds weights, and no training to compare` });
    await expect(compare([path('nowhere')])).rejects.toMatchObject({ message: expect.stringContaining('holds no run') });
    const newer = run('newer', { train: { sparkle: true } });
    await expect(compare([newer])).rejects.toMatchObject({ message: expect.stringMatching(/newer.*sparkle/) });
    symlinkSync(grid[0]!, path('link'));
    await expect(compare([grid[0]!, path('link')])).rejects.toMatchObject({ message: `${path('link')} is named twice: it is ${grid[0]!}` });
    await expect(compare(grid, { out: grid[0]! })).rejects.toMatchObject({ message: `${grid[0]!} holds a run already` });
  });
});

describe('the report', () => {
  it('draws a line for each group and names what differs', async () => {
    const text = await compare(grid, { out: path('report') });
    expect(text).toContain(path('report', 'report.html'));
    const html = readFileSync(path('report', 'report.html'), 'utf8');
    for (const id of ['figures', 'loss-by-step', 'loss-by-flops', 'loss-by-seconds', 'validation', 'routing', 'configuration', 'runs']) expect(html).toContain(`<section id="${id}"`);
    expect(html).toMatch(/threshold=0\.9[^]*−0\.107 ± 0\.007/);
    expect(JSON.parse(readFileSync(path('report', 'report.json'), 'utf8')).groups).toHaveLength(2);
  }, 60_000); // vega is large

  it('holds many runs: of many groups the baseline and the best are drawn', async () => {
    const many = Array.from({ length: 200 }, (_, index) => run(`many/${index}`, { threshold: (1 + (index % 50)) / 50, seed: Math.floor(index / 50), loss: 3 - (index % 50) / 100 }));
    const { groups, runs } = JSON.parse(await compare(many, { out: path('large'), json: true }));
    expect([groups.length, runs.length]).toEqual([50, 200]);
    const drawn = groups.filter(({ training }: { training: unknown[] }) => training.length > 0).map(({ label }: { label: string }) => label);
    expect(drawn).toEqual(['threshold=0.02', ...[44, 45, 46, 47, 48, 49, 50].map((index) => `threshold=${index / 50}`)]);
    expect(readFileSync(path('large', 'report.html'), 'utf8')).toContain('Of 50 groups the baseline and the best are drawn');
  });

  it('stands for the runs of a folder of experiments', async () => {
    mkdirSync(path('folder', 'runs'), { recursive: true });
    writeFileSync(path('folder', 'plan.json'), '{}');
    await expect(compare([path('folder')])).rejects.toMatchObject({ message: expect.stringContaining('holds no run that was begun') });
    writeRun(path('folder', 'runs', 'x'), { loss: 2 });
    expect((await json([path('folder')])).runs).toHaveLength(1);
    await expect(compare(grid, { out: path('folder') })).rejects.toMatchObject({ message: expect.stringContaining('which have a report of their own') });
  });
});
