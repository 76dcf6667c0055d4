// Every preset trains two steps in its own precision on the CPU: the shape of its experts and its router as they are, all sizes shrunk.
// At full width: faults/presets.mjs.
import { expect, it } from 'vitest';
import { configs } from '../src/config.js';
import { metricsOf, mustRun, temporaryFolder, writeCorpus } from './support.js';

const path = temporaryFolder();
const corpus = writeCorpus(path('corpus.jsonl'), 200);
const SHRUNK = [
  '--width', '16', '--heads', '2', '--hidden', '32', '--set', 'model.layers=2', '--set', 'data.tokenizer.type=bpe', '--set', 'data.tokenizer.vocabularySize=280', '--context-length', '16', '--batch-size', '2', '--accumulation', '2',
  '--max-steps', '2', '--warmup-steps', '1', '--eval-every', '2', '--eval-windows', '2', '--test-windows', '2',
  '--validation-fraction', '0.1', '--test-fraction', '0.1',
];
const presets = await configs.presets();

it('are 30, 26 of them the paper\'s, in half precision', async () => {
  expect(presets).toHaveLength(30);
  const paper = await Promise.all(presets.filter(([name]) => /^(\d|wikitext)/.test(name)).map(([preset]) => configs.resolve({ preset })));
  expect(paper.map(({ train }) => train.precision)).toEqual(new Array(26).fill('float16'));
});

it.each(presets.map(([name]) => name))('%s', async (preset) => {
  const run = path(preset);
  const { moe, train } = await configs.resolve({ preset });
  const experts = moe ? ['--expert-hidden', '8'] : [];
  const half = train.precision === 'float16' ? [] : ['--precision', 'float16'];
  const backend = ['--backend', 'cpu:wasm', '--data', corpus, '--data-root', path('data'), '--out', run];
  await mustRun('train', '--preset', preset, ...SHRUNK, ...experts, ...half, ...backend);
  const losses = metricsOf(run).filter(({ kind }) => kind === 'step').map(({ loss }) => loss!);
  expect(losses).toHaveLength(2);
  for (const loss of losses) expect(loss, JSON.stringify(losses)).toBeLessThan(12);
  for (const loss of losses) expect(loss, JSON.stringify(losses)).toBeGreaterThan(1);
});
