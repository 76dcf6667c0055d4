// compare of every program: runs read one after another, one table on the terminal, and one report as HTML and JSON.
import { mkdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { replaceFile } from '@xmoe/files/node';
import type { Command } from 'commander';
import { EXPERIMENT_FILES } from '../experiments/run-files.js';
import { refuseExistingRun } from '../run-directory.js';
import { alignedFacts, progressLine, type Terminal } from '../terminal.js';
import { refuseTwice } from './check-comparable.js';
import { comparisonPage, comparisonText, drawnGroups } from './compare-report.js';
import { compareRuns, type Comparison } from './compare-runs.js';
import type { ComparedProgram, DataIdentity } from './compared-program.js';
import { directoriesAt, FLOPS_COLUMN, readComparedRun, type ComparedRun } from './read-runs.js';

export interface CompareOptions {
  /** More lines for the end of what is printed. */
  readonly facts?: readonly (readonly [string, string])[];
  readonly baseline?: string;
  readonly out?: string;
}

/** The command `compare`: its options and help. */
export function addCompareCommand(command: Command, terminal: Terminal, program: ComparedProgram): void {
  command
    .command('compare <runs...>')
    .description('runs in one table and one report: test figures, losses by step, FLOPs and seconds, routing; seeds as mean ± error')
    .option('--baseline <run>', 'differences are from its group (default: that of the first run)')
    .option('--out <dir>', 'folder of report.html and report.json', join('runs', 'compare'))
    .action((runs: string[], options: CompareOptions) => compareCommand(terminal, program, runs, options));
}

/**
 * @param paths run directories, and folders of experiments, which stand for their runs
 * @throws XMoEError naming what is no run of the program, and what is not comparable
 */
export async function compareCommand(terminal: Terminal, program: ComparedProgram, paths: readonly string[], { baseline, out }: CompareOptions): Promise<void> {
  if (out !== undefined) refuseFolder(out);
  const directories = paths.flatMap(directoriesAt);
  refuseTwice(directories);
  if (directories.length === 0) throw new XMoEError('config', `${paths.join(', ')} holds no run that was begun`, { hint: 'name run directories, or a folder of sweep or reproduce' });
  await compareDirectories(terminal, program, directories, { ...(baseline === undefined ? {} : { baseline }), ...(out === undefined ? {} : { out }) });
}

/** Compares runs, writes the report into `out`, and says so. */
export async function compareDirectories(terminal: Terminal, program: ComparedProgram, directories: readonly string[], { baseline, out, facts = [] }: CompareOptions): Promise<void> {
  const runs = await readAll(terminal, program, directories);
  const columns = [...program.columns, FLOPS_COLUMN];
  const comparison = compareRuns(runs, { program: program.program, quality: program.quality, columns, ...(baseline === undefined ? {} : { baseline }) });
  const document = reportJson(comparison);
  const files = [...(out === undefined ? [] : await writeReport(out, comparison, `${JSON.stringify(document, null, 1)}\n`)), ...facts];
  terminal.result(document, `${comparisonText(comparison, program.few)}\n${files.length > 0 ? `${alignedFacts(files)}\n` : ''}`);
}

/** A report of a comparison must not take the place of that of a run, or of experiments. */
function refuseFolder(out: string): void {
  refuseExistingRun(out);
  if (existsSync(join(out, EXPERIMENT_FILES.plan))) throw new XMoEError('config', `${out} holds experiments, which have a report of their own`, { hint: 'choose another --out' });
}

async function readAll(terminal: Terminal, program: ComparedProgram, directories: readonly string[]): Promise<ComparedRun[]> {
  const identities = new Map<string, Promise<DataIdentity | undefined>>();
  const identify = (data: string): Promise<DataIdentity | undefined> => {
    if (!identities.has(data)) identities.set(data, existsSync(data) ? program.identify(data).catch(() => undefined) : Promise.resolve(undefined));
    return identities.get(data)!;
  };
  const line = progressLine(terminal.messages, `Reading ${directories.length} runs`);
  const runs: ComparedRun[] = [];
  for (const directory of directories) {
    runs.push(await readComparedRun(program, directory, identify));
    line.update(runs.length / directories.length);
  }
  line.done();
  return runs;
}

/** Curves of the groups that charts show; those of others would make the file large. */
function reportJson(comparison: Comparison): object {
  const drawn = new Set(drawnGroups(comparison));
  return { ...comparison, groups: comparison.groups.map((group) => (drawn.has(group) ? group : { ...group, training: [], validation: [] })) };
}

/** Returns what was written, for the terminal. */
async function writeReport(out: string, comparison: Comparison, json: string): Promise<[string, string][]> {
  const [html, data] = [join(out, EXPERIMENT_FILES.report), join(out, EXPERIMENT_FILES.json)];
  await mkdir(out, { recursive: true });
  await replaceFile(data, json);
  await replaceFile(html, await comparisonPage(comparison));
  return [['report', html], ['figures', data]];
}
