// reproduce of every program: from the names of experiments to their runs, and to one report and one JSON about what there is. What the
// experiments are is the program's.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unknownName, XMoEError } from '@xmoe/core';
import type { JsonObject } from '@xmoe/files';
import { replaceFile } from '@xmoe/files/node';
import { lockRunDirectory } from '@xmoe/train/node';
import type { Terminal } from '../terminal.js';
import type { Experiment } from './experiment.js';
import { makeRuns } from './make-runs.js';
import { checkFolder } from './check-folder.js';
import { planRuns } from './plan-runs.js';
import { flopsOfRuns, planText } from './plan-text.js';
import { readResults } from './results-file.js';
import { EXPERIMENT_FILES } from './run-files.js';
import type { ExperimentSuite, ReproduceOptions } from './suite.js';
import { runsToMake } from './work.js';
import { writeReport } from './write-report.js';

/** The names that the command takes. */
export const experimentNames = (suite: ExperimentSuite): string[] => [...suite.names, 'all'];

/** @throws XMoEError what is wrong with the names or the folder, and what ended a run for another reason than its own numbers */
export async function reproduceCommand(terminal: Terminal, suite: ExperimentSuite, names: readonly string[], options: ReproduceOptions): Promise<void> {
  const { scale, data } = options;
  const experiments = experimentsOf(suite, names, options);
  const seeds = Array.from({ length: options.seeds }, (_, index) => index + 1);
  const folder = options.out ?? join('runs', `${suite.program}-${scale}`);
  const plan = planRuns(experiments, seeds, suite);
  const elsewhere = readResults(options.results ?? []);
  const work = { suite, experiments, plan, seeds, folder, elsewhere, options };
  const text = planText(work);
  if (options.dryRun) return terminal.result({ folder, scale, seeds, experiments: experiments.map(({ name }) => name), runs: plan.map(({ key, wantedBy }) => ({ key, wantedBy })), flops: flopsOfRuns(suite, plan) }, text);
  terminal.output.write(text);
  const identity: JsonObject = { program: suite.program, scale, data: data ? [...data] : null };
  await checkFolder(folder, identity);
  terminal.outliveReaders(); // what counts is in files
  const identify = (): Promise<void> => replaceFile(join(folder, EXPERIMENT_FILES.plan), `${JSON.stringify(identity)}\n`);
  if (options.reportOnly) {
    if (!existsSync(folder)) {
      if (!options.results) throw new XMoEError('config', `there is no folder ${folder} to report on`, { hint: 'leave --report-only out to begin, or name the --out of experiments that were begun, or the --results of others' });
      await mkdir(folder, { recursive: true });
      await identify();
    }
    // Also beside a call that is training: all files are replaced as wholes.
    return writeReport(terminal, work, null);
  }
  const lock = await lockRunDirectory(folder);
  try {
    await identify();
    const measurements = experiments.flatMap(({ name, measurement }) => (measurement ? [{ name, measurement }] : []));
    const runs = { plan: runsToMake(work), folder, measurements, backend: options.backend ?? suite.backendOf(scale), dataRoot: options.dataRoot, jobs: options.jobs, flopsOf: (config: JsonObject) => suite.flopsOf(config) };
    const seconds = await makeRuns(terminal, runs).finally(() => writeReport(terminal, work, null).catch(() => undefined));
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
