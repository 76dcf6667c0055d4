// --init-from: a training that begins with the weights of a run or a checkpoint of this program, and what it refuses by name.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openTranslationWeights } from '@xmoe/models/node';
import { beforeAll, expect, it } from 'vitest';
import { checkpointsOf, EXPERTS, fingerprint, mustRun, runHere, SMALL, smallPairs, temporaryFolder, writePairs } from './support.js';

const path = temporaryFolder();
const data = writePairs(path('pairs.tsv'));
const DATA = ['--data', data, '--data-root', path('data')];
const STILL = ['--learning-rate', '1e-30', '--final-learning-rate', '0', '--dropout', '0'];
const train = (out: string, ...flags: string[]) => mustRun('train', ...flags, '--out', path(out));
const tensorsOf = async (source: string) => new Map((await openTranslationWeights(source, { onWarning: () => undefined })).tensors.map(({ name, data: values }) => [name, values]));
const configOf = (run: string) => JSON.parse(readFileSync(path(run, 'config.json'), 'utf8'));
const usual = fileURLToPath(new URL('../../../packages/testing/golden/published/usual', import.meta.url));

beforeAll(() => train('first', ...SMALL, ...EXPERTS, ...DATA, '--max-steps', '3'), 120_000);

it('begins with the weights and the vocabulary of a run, keeps its settings, and is told what they are', async () => {
  const { messages } = await train('second', '--init-from', path('first'), '--data-root', path('data'), '--max-steps', '1', '--warmup-steps', '0', ...STILL);
  expect(messages).toMatch(/Weights: .* parameters of the run .*first\/checkpoints\/step-00000003 \(de-en, \d \+ \d layers of width 16, 4 experts, \d+ tokens\)/);
  const [before, after] = [await tensorsOf(path('first')), await tensorsOf(path('second'))];
  expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
  for (const [name, values] of before) expect(after.get(name), name).toEqual(values);
  expect(configOf('second')).toMatchObject({ initial: { source: path('first'), kind: 'run' }, config: { model: { width: 16 }, moe: { experts: 4 }, train: { batchTokens: 128 }, data: { files: [data], tokenizer: { type: 'file' } } } });
});

it('takes a checkpoint, other text with the same vocabulary, and the settings of a preset that is named', async () => {
  const other = writePairs(path('other.tsv'), smallPairs(500).slice(100));
  const checkpoint = path('first', 'checkpoints', checkpointsOf(path('first')).at(-1)!);
  await train('third', '--init-from', checkpoint, '--preset', 'tiny', ...SMALL.filter((flag, at) => flag !== '--vocabulary-size' && SMALL[at - 1] !== '--vocabulary-size'), '--data', other, '--data-root', path('data'), '--max-steps', '1', '--warmup-steps', '0', ...STILL);
  const [before, after] = [await tensorsOf(path('first')), await tensorsOf(path('third'))];
  for (const [name, values] of before) expect(after.get(name), name).toEqual(values);
  expect(configOf('third')).toMatchObject({ initial: { kind: 'checkpoint' }, config: { data: { files: [other] } } });
});

it('killed before its first checkpoint it begins with the same weights again', async () => {
  await train('whole', '--init-from', path('first'), '--data-root', path('data'), '--max-steps', '2', '--warmup-steps', '0');
  const whole = fingerprint(path('whole'));
  rmSync(path('whole', 'checkpoints'), { recursive: true });
  await mustRun('train', '--resume', '--out', path('whole'), '--data-root', path('data'));
  expect(fingerprint(path('whole'))).toEqual(whole);
});

it('says without training what it would be', async () => {
  const { output } = await mustRun('train', '--init-from', path('first'), '--dry-run');
  expect(output).toMatch(/^Weights: .*\ntiny: de-en, /);
});

it.each<[string, () => string[], string | RegExp]>([
  ['other shapes, and what does not show in shapes', () => [path('first'), '--width', '24', '--heads', '4'], 'are of another model: model.width is 16, not 24; model.heads is 2, not 4'],
  ['other experts', () => [path('first'), '--experts', '8'], 'moe.experts is 4, not 8'],
  ['no experts', () => [path('first'), '--router', 'dense'], 'they have experts, and the configuration has none'],
  ['another vocabulary', () => [path('first'), '--set', 'data.tokenizer={"type":"bpe","vocabularySize":340}'], 'their vocabulary is another than that of data.tokenizer'],
  ['a Hugging Face folder', () => [usual], /usual is a Hugging Face folder of a "gpt2" model, and a translation model cannot begin with one\n {2}name a run of a translation model, or a checkpoint in one; of Hugging Face folders, language models take those of GPT-2/],
  ['a Marian folder', () => {
    mkdirSync(path('marian'), { recursive: true });
    writeFileSync(join(path('marian'), 'config.json'), '{"model_type":"marian"}');
    return [path('marian')];
  }, 'is a Hugging Face folder of a "marian" model'],
  ['nothing', () => [path('nowhere')], 'there are no weights at'],
  ['a file', () => [data], 'is a file'],
  ['an empty folder', () => {
    mkdirSync(path('empty'), { recursive: true });
    return [path('empty')];
  }, 'holds no weights: config.json is not there'],
  ['a run of the other program', () => {
    mkdirSync(path('language'), { recursive: true });
    writeFileSync(join(path('language'), 'config.json'), '{"program":"xmoe-lm","config":{"model":{"width":8}}}');
    return [path('language')];
  }, /is of a language model|no checkpoint/],
])('refuses %s', async (_, flags, message) => {
  const refused = await runHere('train', '--init-from', ...flags(), '--dry-run');
  expect(refused.output).toBe('');
  expect(refused.messages).toMatch(message instanceof RegExp ? message : new RegExp(message.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')));
});
