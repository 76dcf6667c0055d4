// convert: dense layers as experts. Whatever the order of hidden units, the model is the same with all of them.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openWeights } from '@xmoe/models/node';
import type { StoredTensor } from '@xmoe/train';
import { readMetrics } from '@xmoe/train/node';
import { beforeAll, expect, it } from 'vitest';
import { mustRun, runHere, SMALL, temporaryFolder, writeCorpus } from './support.js';

const path = temporaryFolder();
const data = writeCorpus(path('corpus.jsonl'));
const wasm = ['--backend', 'tfjs:wasm', '--data-root', path('data')];
const usual = fileURLToPath(new URL('../../../packages/testing/golden/published/usual', import.meta.url));
const perplexity = async (run: string): Promise<number> => JSON.parse((await mustRun('eval', path(run), ...wasm, '--data', data, '--max-windows', '8', '--json')).output).leakFree.perplexity;
const tensorsOf = async (run: string): Promise<Map<string, StoredTensor>> => new Map((await (await openWeights(path(run), { onWarning: () => undefined })).tensors()).map((tensor) => [tensor.name, tensor]));

beforeAll(() => mustRun('train', ...SMALL, '--router', 'dense', '--data', data, '--data-root', path('data'), '--out', path('dense'), '--max-steps', '10', '--learning-rate', '0.02'), 60_000);

it.each(['order', 'random', 'co-activation'])('by %s: with all experts it is the dense model', async (by) => {
  const { output } = await mustRun('convert', path('dense'), '--experts', '4', '--by', by, '--out', path(by), ...wasm, '--tokens', '256');
  expect(output).toContain(`4 of 8 units in every layer, by ${by}`);
  expect(JSON.parse(readFileSync(path(by, 'config.json'), 'utf8')).config.moe).toMatchObject({ every: 1, experts: 4, expertHidden: 8, capacityFactor: 4, router: { type: 'threshold', threshold: 1 } });
  expect(Math.abs(await perplexity(by) / await perplexity('dense') - 1)).toBeLessThan(1e-5);
  const first = (await tensorsOf(by)).get('h.0.moe.experts.b1')!.data;
  const same = first.every((value, unit) => value === denseBias[unit]);
  expect(same).toBe(by === 'order');
  expect([...first].sort()).toEqual([...denseBias].sort());
});

let denseBias: StoredTensor['data'];
beforeAll(async () => {
  denseBias = (await tensorsOf('dense')).get('h.0.mlp.c_fc.bias')!.data;
});

it('trains the gates alone, and everything else stays to the bit', async () => {
  await mustRun('train', '--init-from', path('order'), ...wasm, '--data', data, '--trainable', 'router', '--threshold', '0.5', '--max-steps', '3', '--warmup-steps', '0', '--batch-size', '2', '--eval-windows', '2', '--test-windows', '2', '--out', path('gates'));
  const [before, after] = [await tensorsOf('order'), await tensorsOf('gates')];
  for (const [name, { data: values }] of before) {
    const unchanged = values.every((value, index) => value === after.get(name)!.data[index]);
    expect(unchanged, name).toBe(!name.endsWith('.router.weight'));
  }
});

const TAUGHT = ['--experts', '4', ...wasm, '--max-steps', '40', '--set', 'train.evalWindows=2', 'train.testWindows=2'];

it('--train router: the gates learn what each expert makes, the rest stays to the bit, and with all experts it is the dense model', async () => {
  const { output, messages } = await mustRun('convert', path('dense'), ...TAUGHT, 'model.dropout=0', 'train.routingEvery=1', '--train', 'router', '--out', path('taught'));
  expect(output).toContain(`checkpoint  ${path('taught', 'split', 'checkpoints', 'step-00000000')}\n`);
  expect(messages).toContain(`Weights: `);
  const { config, initial } = JSON.parse(readFileSync(path('taught', 'config.json'), 'utf8'));
  expect(config).toMatchObject({ moe: { router: { type: 'threshold', threshold: 1, equalWeights: true }, distillCoefficient: 1 }, train: { trainable: 'router', steps: 40, learningRate: 0.01 } });
  expect(initial).toMatchObject({ source: path('taught', 'split'), kind: 'run' });
  const [before, after] = [await tensorsOf('taught/split'), await tensorsOf('taught')];
  for (const [name, { data: values }] of before) {
    expect(values.every((value, index) => value === after.get(name)!.data[index]), name).toBe(!name.endsWith('.router.weight'));
  }
  expect(Math.abs(await perplexity('taught') / await perplexity('dense') - 1)).toBeLessThan(1e-5);
  const distances = readMetrics(path('taught', 'metrics.jsonl')).flatMap((row) => (row.kind === 'step' ? [row.auxLoss!] : []));
  const mean = (some: number[]): number => some.reduce((sum, value) => sum + value, 0) / some.length;
  expect(mean(distances.slice(-5))).toBeLessThan(0.8 * mean(distances.slice(0, 5)));
});

it('--train all by the paper’s recipe is a training with all experts and no other loss', async () => {
  await mustRun('convert', path('dense'), ...TAUGHT, '--train', 'all', '--recipe', 'paper', '--max-steps', '2', '--learning-rate', '0.001', '--out', path('paper'));
  const { config } = JSON.parse(readFileSync(path('paper', 'config.json'), 'utf8'));
  expect(config).toMatchObject({ moe: { router: { threshold: 1 }, capacityFactor: 4, balanceCoefficient: 0 }, train: { trainable: 'all', steps: 2, learningRate: 0.001 } });
  expect([config.moe.router.equalWeights, config.moe.distillCoefficient]).toEqual([undefined, undefined]);
});

it('looks at text that is named where weights come without', async () => {
  const args = ['convert', usual, '--experts', '8', '--by', 'co-activation', '--out', path('of-folder'), ...wasm];
  expect((await runHere(...args)).messages).toContain('there is no text whose activations could be looked at\n  name some with --data');
  await mustRun(...args, '--data', data, '--tokens', '100');
  expect((await tensorsOf('of-folder')).get('h.1.moe.experts.w1')!.shape).toEqual([8, 16, 8]);
});

it.each([
  [['--experts', '5'], '5 experts do not divide the hidden size 64'],
  [['--experts', '4', '--by', 'weights'], "argument 'weights' is invalid. It is one of order, random, co-activation."],
  [['--experts', '4', '--every', '3'], '--every 3 exceeds the 2 layers'],
  [['--experts', '0'], 'expected a whole number from 1'],
  [['--experts', '4', '--recipe', 'paper'], '--recipe is of a training\n  say what is trained: --train router or --train all'],
  [['--experts', '4', '--train', 'gates'], '--train is "gates"\n  pass router or all'],
  [['--experts', '4', '--train', 'all', '--recipe', 'mine'], '--recipe is "mine"\n  pass distill or paper'],
  [['--experts', '4', '--train', 'router', '--threshold', '2'], 'moe.router.threshold'],
  [['--experts', '4', '--train', 'router', '--set', 'moe.distillCoefficient=0'], 'nothing trains one whose experts have equal weights'],
])('refuses %j, and leaves nothing', async (flags, message) => {
  const refused = await runHere('convert', usual, '--out', path('never'), ...flags);
  expect(refused).toMatchObject({ code: 2, output: '', messages: expect.stringContaining(message) });
  expect(existsSync(path('never'))).toBe(false);
});

it('refuses a model with experts, and gates that a dense model has not', async () => {
  expect((await runHere('convert', path('order'), '--experts', '4', '--out', path('never'))).messages).toContain('has experts already');
  expect((await runHere('train', '--init-from', usual, '--trainable', 'router', '--dry-run')).messages).toContain('train.trainable is router, and the model is dense');
});
