// Every preset trains two steps in half precision on the CPU: its layers' kinds, experts and router as they are, all sizes shrunk. At
// full width: faults/presets.mjs.
import { expect, it } from 'vitest';
import { configs } from '../src/config.js';
import { metricsOf, mustRun, temporaryFolder, writePairs } from './support.js';

const path = temporaryFolder();
const pairs = writePairs(path('pairs.tsv'));
const SHRUNK = [
  '--width', '16', '--heads', '2', '--hidden', '32', '--set', 'model.encoderLayers=2', '--set', 'model.decoderLayers=1', '--set', 'data.maximumTokens=32',
  '--vocabulary-size', '340', '--validation-pairs', '8', '--test-pairs', '8', '--near-duplicate', '1', '--batch-tokens', '128', '--update-tokens', '150',
  '--max-steps', '2', '--warmup-steps', '1', '--eval-every', '2', '--eval-pairs', '2', '--scored-pairs', '2', '--beam', '2',
];
const presets = await configs.presets();

it('are 11, 9 of them the paper\'s, in half precision', async () => {
  expect(presets).toHaveLength(11);
  const paper = await Promise.all(presets.filter(([name]) => name.startsWith('paper-')).map(([preset]) => configs.resolve({ preset })));
  expect(paper.map(({ train }) => train.precision)).toEqual(new Array(9).fill('float16'));
});

it.each(presets.map(([name]) => name))('%s', async (preset) => {
  const run = path(preset);
  const { moe, train } = await configs.resolve({ preset });
  const experts = moe ? ['--expert-hidden', '8'] : [];
  const half = train.precision === 'float16' ? [] : ['--precision', 'float16'];
  const backend = ['--backend', 'cpu:wasm', '--data', pairs, '--data-root', path('data'), '--out', run];
  await mustRun('train', '--preset', preset, ...SHRUNK, ...experts, ...half, ...backend);
  const losses = metricsOf(run).filter(({ kind }) => kind === 'step').map(({ loss }) => loss!);
  expect(losses).toHaveLength(2);
  for (const loss of losses) expect(loss, JSON.stringify(losses)).toBeLessThan(12);
  for (const loss of losses) expect(loss, JSON.stringify(losses)).toBeGreaterThan(1);
});
