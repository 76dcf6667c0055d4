// --init-from: training that begins with weights that exist. The weights themselves are tested in @xmoe/models.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openWeights } from '@xmoe/models/node';
import type { StoredTensor } from '@xmoe/train';
import { beforeAll, expect, it } from 'vitest';
import { checkpointsOf, fingerprint, mustRun, runHere, temporaryFolder, writeCorpus } from './support.js';

const path = temporaryFolder();
const usual = fileURLToPath(new URL('../../../packages/testing/golden/published/usual', import.meta.url));
const FLAGS = ['--backend', 'tfjs:wasm', '--data-root', path('data'), '--batch-size', '2', '--test-windows', '8', '--eval-windows', '4', '--validation-fraction', '0.1', '--test-fraction', '0.1'];
/** Steps that change nothing that is seen. */
const STILL = ['--learning-rate', '1e-30', '--final-learning-rate', '0', '--weight-decay', '0', '--dropout', '0'];
const data = writeCorpus(path('corpus.jsonl'));
const train = (out: string, ...flags: string[]) => mustRun('train', ...FLAGS, '--data', data, '--out', path(out), ...flags);
const tensorsOf = async (source: string): Promise<Map<string, StoredTensor>> => {
  const weights = await openWeights(source, { onWarning: () => undefined });
  return new Map((await weights.tensors()).map((tensor) => [tensor.name, tensor]));
};
const perplexity = async (run: string): Promise<number> => JSON.parse((await mustRun('eval', path(run), '--backend', 'tfjs:wasm', '--json')).output).leakFree.perplexity;

beforeAll(() => train('dense', '--init-from', usual, '--max-steps', '2', '--warmup-steps', '0', ...STILL), 120_000);

it('begins with the weights and the tokenizer of a Hugging Face folder', async () => {
  const [given, trained] = [await tensorsOf(usual), await tensorsOf(path('dense'))];
  expect([...trained.keys()].sort()).toEqual([...given.keys()].sort());
  for (const [name, { data: values }] of given) expect(trained.get(name)!.data, name).toEqual(values);
  expect(JSON.parse(readFileSync(path('dense', 'config.json'), 'utf8'))).toMatchObject({
    initial: { source: usual, kind: 'hugging-face' }, config: { model: { contextLength: 12, width: 16 }, moe: null, data: { tokenizer: { type: 'file', vocabularySize: 269 } } },
  });
});

it('goes on as XMoE: with all experts it is the dense model, for a run as for a checkpoint of it', async () => {
  const experts = ['--preset', 'tiny', '--experts', '4', '--expert-hidden', '16', '--threshold', '1', '--capacity-factor', '4', '--max-steps', '1', '--warmup-steps', '0', ...STILL];
  await train('split', '--init-from', path('dense'), ...experts);
  await train('split-of-checkpoint', '--init-from', path('dense', 'checkpoints', checkpointsOf(path('dense')).at(-1)!), ...experts);
  expect(Math.abs(await perplexity('split') / await perplexity('dense') - 1)).toBeLessThan(1e-5);
  expect(await perplexity('split-of-checkpoint')).toBe(await perplexity('split'));
});

it('a run keeps its experts and its settings, or takes those of a preset that is named', async () => {
  await train('again', '--init-from', path('split'), '--max-steps', '1');
  expect(JSON.parse(readFileSync(path('again', 'config.json'), 'utf8')).config).toMatchObject({ moe: { experts: 4, router: { threshold: 1 } }, train: { learningRate: 1e-30 } });
  await train('anew', '--init-from', path('split'), '--preset', 'tiny', '--max-steps', '1');
  expect(JSON.parse(readFileSync(path('anew', 'config.json'), 'utf8')).config).toMatchObject({ moe: { experts: 4 }, train: { learningRate: 0.006 } });
});

it('takes fewer positions, not more', async () => {
  await train('short', '--init-from', usual, '--max-steps', '1', '--context-length', '5', ...STILL, '--warmup-steps', '0');
  const [given, trained] = [await tensorsOf(usual), await tensorsOf(path('short'))];
  expect(trained.get('wpe.weight')!.data).toEqual(given.get('wpe.weight')!.data.slice(0, 5 * 16));
  expect((await runHere('train', '--init-from', usual, '--context-length', '13', '--dry-run')).messages).toContain('the weights are for a context of 12 tokens, and contextLength is 13');
});

it('that was killed before its first checkpoint begins with the same weights again, or not at all', async () => {
  const source = path('source');
  cpSync(usual, source, { recursive: true });
  await train('whole', '--init-from', source, '--max-steps', '3');
  const whole = fingerprint(path('whole'));
  rmSync(path('whole', 'checkpoints'), { recursive: true });
  await mustRun('train', ...FLAGS.slice(0, 4), '--resume', '--out', path('whole'));
  expect(fingerprint(path('whole'))).toEqual(whole);
  rmSync(path('whole', 'checkpoints'), { recursive: true });
  const weights = readFileSync(path('source', 'model.safetensors'));
  weights[weights.length - 3]! ^= 1;
  writeFileSync(path('source', 'model.safetensors'), weights);
  expect(await runHere('train', '--backend', 'tfjs:wasm', '--resume', '--out', path('whole'))).toMatchObject({ code: 2, messages: expect.stringContaining('holds other weights than those that') });
});

it('counts without training, and says what the weights are', async () => {
  const { output } = await mustRun('train', '--init-from', usual, '--dry-run');
  expect(output).toMatch(/^Weights: 11\.1k parameters of the Hugging Face folder .*usual \(2 layers of width 16, dense, context 12, 269 tokens\)\ntiny: 2 layers of width 16, dense/);
  expect(output).toMatch(/memory +at least \d+kB/);
});

it.each([
  [['--init-from', path('nowhere')], 'there are no weights at'],
  [['--init-from', usual, '--resume', '--out', path('dense')], '--init-from begins a run, and --resume goes on with one'],
  [['--init-from', usual, '--width', '32'], 'usual does not fit the model: wte.weight has the shape [269, 16], not [269, 32]'],
  [['--init-from', usual, '--preset', 'tiny', '--experts', '4'], '4 experts of 8 are not the dense layer of 64 that they are split from\n  use --expert-hidden 16'],
  [['--init-from', usual, '--experts', '4'], '--experts is about experts, and the model is dense'],
])('refuses %j', async (flags, message) => {
  const refused = await runHere('train', ...flags, '--dry-run');
  expect(refused.output).toBe('');
  expect(refused.messages).toContain(message);
});
