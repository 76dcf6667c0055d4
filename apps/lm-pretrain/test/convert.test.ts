// convert: dense layers as experts. Whatever the order of hidden units, the model is the same with all of them.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openWeights } from '@xmoe/models/node';
import type { StoredTensor } from '@xmoe/train';
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

it('looks at text that is named where weights come without', async () => {
  const args = ['convert', usual, '--experts', '8', '--by', 'co-activation', '--out', path('of-folder'), ...wasm];
  expect((await runHere(...args)).messages).toContain('there is no text whose activations could be looked at\n  name some with --data');
  await mustRun(...args, '--data', data, '--tokens', '100');
  expect((await tensorsOf('of-folder')).get('h.1.moe.experts.w1')!.shape).toEqual([8, 16, 8]);
});

it.each([
  [['--experts', '5'], '5 experts do not divide the hidden size 64'],
  [['--experts', '4', '--by', 'weights'], 'there is no way "weights" to divide hidden units\n  --by takes order, random, co-activation'],
  [['--experts', '4', '--every', '3'], '--every 3 exceeds the 2 layers'],
  [['--experts', '0'], 'expected a whole number from 1'],
])('refuses %j, and leaves nothing', async (flags, message) => {
  const refused = await runHere('convert', usual, '--out', path('never'), ...flags);
  expect(refused).toMatchObject({ code: 2, output: '', messages: expect.stringContaining(message) });
  expect(existsSync(path('never'))).toBe(false);
});

it('refuses a model with experts, and gates that a dense model has not', async () => {
  expect((await runHere('convert', path('order'), '--experts', '4', '--out', path('never'))).messages).toContain('has experts already');
  expect((await runHere('train', '--init-from', usual, '--trainable', 'router', '--dry-run')).messages).toContain('train.trainable is router, and the model is dense');
});
