// A run that an older version made opens: it translates, is scored, inspected and gone on with, with the numbers of then.
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { copyOldRun, differences, outcomesOfThen } from '@xmoe/testing/programs';
import { expect, it } from 'vitest';
import { feed, metricsOf, mustRun, temporaryFolder } from './support.js';

const path = temporaryFolder();
const run = copyOldRun('nmt', path('nmt'));
const plain = ['--backend', 'cpu:plain'];
const then = outcomesOfThen('nmt') as Record<string, unknown>;
const SOURCES = 'Das Haus rot das Schiff alt sieht.\nDas Fluss schön das Berg neu kennt.\n';

it.each(['best', 'latest', 'step-00000020'])('eval of %s', async (checkpoint) => {
  const scores = JSON.parse((await mustRun('eval', run, ...plain, '--checkpoint', checkpoint, '--json')).output);
  expect(differences(scores, (then.eval as Record<string, unknown>)[checkpoint], 1e-5)).toEqual([]);
});

it.each([['greedy', ['--beam', '1']], ['beam', ['--beam', '3', '--n-best', '2']]] as const)('translate: %s', async (name, flags) => {
  const { code, output } = await feed(SOURCES, 'translate', run, ...plain, '--checkpoint', 'latest', ...flags);
  expect({ code, output }).toEqual({ code: 0, output: (then.translate as Record<string, string>)[name] });
});

it('inspect', async () => {
  const { output } = await mustRun('inspect', run, ...plain, '--text', 'Das Haus rot das Schiff alt sieht.', '--html', path('page.html'));
  expect(output.split('\n  page')[0]).toBe(then.inspect);
});

it('resume, to the end and the average of its checkpoints', async () => {
  const copy = path('resumed');
  cpSync(run, copy, { recursive: true });
  await mustRun('train', '--resume', '--out', copy, ...plain);
  const rows = metricsOf(copy).filter(({ step }) => step > 40);
  const summary = JSON.parse(readFileSync(join(copy, 'summary.json'), 'utf8'));
  // Half precision, in which sums have been taken in another order since.
  expect(differences({ rows, ...summary }, then.resumed, 1e-4)).toEqual([]);
});
