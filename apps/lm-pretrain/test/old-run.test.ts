// A run that an older version made opens: it is scored, sampled, inspected and gone on with, with the numbers of then.
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { copyOldRun, differences, outcomesOfThen } from '@xmoe/testing/programs';
import { afterEach, expect, it, vi } from 'vitest';
import { metricsOf, mustRun, startProcess, temporaryFolder } from './support.js';

const path = temporaryFolder();
const run = copyOldRun('lm', path('lm'));
const plain = ['--backend', 'cpu:plain'];
afterEach(() => void vi.unstubAllEnvs());
const then = outcomesOfThen('lm') as Record<string, unknown>;

it.each(['best', 'latest', 'step-00000020'])('eval of %s', async (checkpoint) => {
  const scores = JSON.parse((await mustRun('eval', run, ...plain, '--checkpoint', checkpoint, '--max-windows', 'all', '--json')).output);
  expect(differences(scores, (then.eval as Record<string, unknown>)[checkpoint], 1e-5)).toEqual([]);
});

it.each(['0', '0.8'])('sample at temperature %s', async (temperature) => {
  const { output } = await mustRun('sample', run, ...plain, '--max-tokens', '24', '--temperature', temperature);
  expect(output).toBe((then.sample as Record<string, string>)[temperature]);
});

it('inspect', async () => {
  const { output } = await mustRun('inspect', run, ...plain, '--text', 'peace and war', '--html', path('page.html'));
  expect(output.split('\n  page')[0]).toBe(then.inspect);
});

it('resume, to the end', async () => {
  const copy = path('resumed');
  cpSync(run, copy, { recursive: true });
  await mustRun('train', '--resume', '--out', copy, ...plain);
  const rows = metricsOf(copy).filter(({ step }) => step > 40);
  const summary = JSON.parse(readFileSync(join(copy, 'summary.json'), 'utf8'));
  expect(differences({ rows, ...summary }, then.resumed, 1e-5)).toEqual([]);
});

// A deployment's choice: read when the program starts.
it.each([
  ['cpu:plain', [], { code: 0, output: expect.stringMatching(/^The /), messages: '' }],
  ['cpu:plian', ['--backend', 'cpu:plain'], { code: 0, messages: '' }],
  ['cpu:plian', [], { code: 2, output: '', messages: expect.stringMatching(/^error: XMOE_BACKEND: there is no backend "cpu:plian", did you mean cpu:plain\?/) }],
] as [string, string[], object][])('XMOE_BACKEND=%s %j', async (name, flags, expected) => {
  vi.stubEnv('XMOE_BACKEND', name);
  const { code, output, messages } = await startProcess('sample', run, '--max-tokens', '1', ...flags).ended;
  expect({ code, output, messages }).toMatchObject(expected);
});
