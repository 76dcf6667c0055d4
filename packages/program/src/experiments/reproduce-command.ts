// reproduce of every program: from the names of experiments to their runs, and to one report and one JSON about what there is. What the
// experiments are is the program's.
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unknownName, XMoEError } from '@xmoe/core';
import type { JsonObject } from '@xmoe/files';
import { replaceFile } from '@xmoe/files/node';
import { lockRunDirectory } from '@xmoe/train/node';
import type { Terminal } from '../terminal.js';
import type { Experiment } from './experiment.js';
import { makeRuns } from './make-runs.js';
import { canonical, planRuns } from './plan-runs.js';
import { planText } from './plan-text.js';
import { EXPERIMENT_FILES, readObject } from './run-files.js';
import type { ExperimentSuite, ReproduceOptions } from './suite.js';
import { writeReport } from './write-report.js';

/** The names that the command takes. */
export const experimentNames = (suite: ExperimentSuite): string[] => [...suite.experiments(suite.scales[0]!, {}).map(({ name }) => name), 'all'];

/** @throws XMoEError what is wrong with the names or the folder, and what ended a run for another reason than its own numbers */
export async function reproduceCommand(terminal: Terminal, suite: ExperimentSuite, names: readonly string[], options: ReproduceOptions): Promise<void> {
  const { scale, data } = options;
  const experiments = experimentsOf(suite, names, options);
  const seeds = Array.from({ length: options.seeds }, (_, index) => index + 1);
  const folder = options.out ?? join('runs', `${suite.program}-${scale}`);
  const plan = planRuns(experiments, seeds, suite);
  terminal.output.write(planText({ suite, experiments, plan, seeds, folder, options }));
  if (options.dryRun) return;
  const identity: JsonObject = { program: suite.program, scale, data: data ? [...data] : null };
  await checkFolder(folder, identity);
  terminal.outliveReaders(); // what counts is in files
  const work = { suite, experiments, plan, seeds, folder, options };
  // Also beside a call that is training: both files are replaced as wholes.
  if (options.reportOnly) return writeReport(terminal, work, null);
  const lock = await lockRunDirectory(folder);
  try {
    await replaceFile(join(folder, EXPERIMENT_FILES.plan), `${JSON.stringify(identity)}\n`);
    const seconds = await makeRuns(terminal, work).finally(() => writeReport(terminal, work, null).catch(() => undefined));
    await writeReport(terminal, work, seconds);
  } finally {
    lock.release();
  }
}

function experimentsOf(suite: ExperimentSuite, names: readonly string[], options: ReproduceOptions): Experiment[] {
  const { scale } = options;
  if (!suite.scales.includes(scale)) throw unknownName('reproduce', 'scale', scale, suite.scales);
  const known = experimentNames(suite);
  for (const name of names) if (!known.includes(name)) throw unknownName('reproduce', 'experiment', name, known);
  return suite.experiments(scale, options).filter(({ name }) => names.includes('all') || names.includes(name));
}

/** @throws XMoEError `config` when the folder is another thing, or holds experiments of another kind */
async function checkFolder(folder: string, identity: JsonObject): Promise<void> {
  if (!existsSync(folder)) return;
  const names = await readdir(folder).catch(() => undefined);
  if (names === undefined) throw new XMoEError('config', `${folder} is not a directory`, { hint: 'choose another --out' });
  if (names.every((name) => name === 'lock')) return;
  const path = join(folder, EXPERIMENT_FILES.plan);
  const found = readObject(path);
  if (found === undefined) throw new XMoEError('config', `${folder} holds something else than experiments: ${EXPERIMENT_FILES.plan} is not there`, { hint: 'choose another --out' });
  if (canonical(found) === canonical(identity)) return;
  throw new XMoEError('config', `${folder} holds experiments of ${String(found.program)} at scale ${String(found.scale)}${found.data === null ? '' : ` on ${String(found.data)}`}`, {
    hint: 'choose another --out, or the same scale and data',
  });
}
