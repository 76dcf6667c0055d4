// Thresholds by layer: how they are chosen, and that all that uses a run honours them.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { chooseOptions, thresholdsAround, type LayerOption } from '../src/thresholds-by-layer.js';
import { EXPERTS, mustRun, runHere, SMALL, temporaryFolder, writeCorpus } from './support.js';

describe('chooseOptions', () => {
  const option = (threshold: number, loss: number, flops: number): LayerOption => ({ threshold, loss, flops });
  const common = option(0.5, 0, 0);
  // The first layer hardly needs its experts, the second gains much from more.
  const layers = [[common, option(0.3, 0.001, -0.1), option(0.7, -0.001, 0.1)], [common, option(0.3, 0.2, -0.1), option(0.7, -0.1, 0.1)]];
  const chosen = (slack: Parameters<typeof chooseOptions>[1], of = layers) => chooseOptions(of, slack).map(({ threshold }) => threshold);

  it('moves FLOPs to where they win most', () => {
    expect(chosen({ of: 'flops', most: 0 })).toEqual([0.3, 0.7]);
    expect(chosen({ of: 'flops', most: 0.2 })).toEqual([0.7, 0.7]);
    expect(chosen({ of: 'loss', most: 0.0015 })).toEqual([0.3, 0.5]);
  });

  it('keeps to the limit, and never chooses NaN', () => {
    expect(chosen({ of: 'flops', most: 0.05 }, [layers[0]!.slice(0, 1), layers[1]!])).toEqual([0.5, 0.5]);
    expect(chosen({ of: 'flops', most: 0 }, [[common, option(0.3, Number.NaN, -0.1)], [common, option(0.7, -1, 0.1)]])).toEqual([0.5, 0.5]);
  });

  it('tries thresholds within 0 and 1, each once, and not the common one', () => {
    expect(thresholdsAround(0.95)).toEqual([0.65, 0.75, 0.8, 0.85, 0.9, 0.925, 0.975, 1]);
    expect(thresholdsAround(0)).toEqual([0.025, 0.05, 0.1, 0.15, 0.2, 0.3]);
  });
});

const path = temporaryFolder();
const wasm = ['--backend', 'cpu:wasm'];
const scored = [...wasm, '--max-windows', '4', '--json'];
const expertsOf = async (run: string, ...flags: string[]): Promise<number[]> =>
  JSON.parse((await mustRun('eval', path(run), ...scored, ...flags)).output).leakFree.routing.map(({ summary }: { summary: { expertsPerToken: number } }) => summary.expertsPerToken);

beforeAll(async () => {
  await mustRun('train', ...SMALL, ...EXPERTS, '--every', '1', '--data', writeCorpus(path('corpus.jsonl')), '--data-root', path('data'), '--out', path('run'), '--max-steps', '12', '--learning-rate', '0.02', '--threshold', '0.6');
  cpSync(path('run'), path('layered'), { recursive: true });
  const record = JSON.parse(readFileSync(path('run', 'config.json'), 'utf8'));
  record.config.moe = { ...record.config.moe, router: { type: 'threshold', threshold: 0.3 }, thresholds: [0.3, 1] };
  writeFileSync(path('layered', 'config.json'), JSON.stringify(record));
}, 120_000);

describe('a run with thresholds by layer', () => {
  it('is evaluated, exported and imported with them, and by one threshold where that is asked for', async () => {
    const [low, own] = [await expertsOf('layered', '--threshold', '0.3'), await expertsOf('layered')];
    expect(own[0]).toBe(low[0]);
    expect(own[1]).toBe(4); // t = 1: all
    expect(low[1]).toBeLessThan(4);
    const swept = JSON.parse((await mustRun('sweep', path('layered'), ...scored, '--threshold', '0.3')).output).evaluations[0];
    expect(swept.figures.wantedEvaluation).toBeCloseTo((low[0]! + low[1]!) / 2, 6);
    await mustRun('export', path('layered'), path('folder'));
    expect(JSON.parse(readFileSync(path('folder', 'config.json'), 'utf8')).moe.thresholds).toEqual([0.3, 1]);
    expect(readFileSync(path('folder', 'README.md'), 'utf8')).toContain('threshold 0.3; by layer 0.3, 1)');
    await mustRun('import', path('folder'), '--out', path('back'));
    expect(await expertsOf('back', '--data', path('corpus.jsonl'), '--data-root', path('data'))).toEqual(own);
    const { output } = await mustRun('inspect', path('layered'), ...wasm, '--text', 'peace and war');
    expect(output).toMatch(/h\.1 +4\.00 experts per token/);
  });

  it('begins a training with them, or with one that replaces them', async () => {
    const dry = (...flags: string[]) => runHere('train', '--init-from', path('layered'), '--dry-run', ...flags);
    expect((await dry()).code).toBe(0);
    expect((await dry('--threshold', '0.6')).messages).toContain('moe.router.threshold 0.6 is not the first of moe.thresholds 0.3, 1\n  for one threshold leave the others out: --set moe.thresholds=null');
    expect((await dry('--threshold', '0.6', '--set', 'moe.thresholds=null')).code).toBe(0);
    expect((await dry('--set', 'moe.thresholds=[0.3]')).messages).toContain('moe.thresholds has 1 thresholds for 2 layers with experts');
    expect((await dry('--set', 'moe.thresholds=[0.3,2]')).messages).toContain('moe.thresholds');
    expect((await dry('--router', 'topk')).messages).toContain('moe.thresholds are of the threshold router, not of topk');
  });
});

describe('tune --by-layer', () => {
  it('finds a threshold for each layer that keeps to the goal, and stores what is better', async () => {
    const tuned = JSON.parse((await mustRun('tune', path('run'), ...scored, '--flops', '1.2', '--by-layer', '--out', path('tuned'))).output);
    expect(tuned.byLayer.thresholds).toHaveLength(2);
    const best = tuned.points.find((point: { threshold: number }) => point.threshold === (tuned.thresholds ? point.threshold : tuned.threshold));
    const { config } = JSON.parse(readFileSync(path('tuned', 'config.json'), 'utf8'));
    expect([config.moe.router.threshold, config.moe.thresholds]).toEqual([tuned.threshold, tuned.thresholds]);
    if (tuned.thresholds) expect(tuned.byLayer.flops).toBeLessThanOrEqual(1.2);
    else expect(best.flops).toBeLessThanOrEqual(1.2);
    const { output } = await mustRun('eval', path('tuned'), ...scored, '--split', 'validation');
    expect(JSON.parse(output).leakFree.perplexity).toBeCloseTo((tuned.thresholds ? tuned.byLayer : best).perplexity, 9);
  }, 60_000);
});
