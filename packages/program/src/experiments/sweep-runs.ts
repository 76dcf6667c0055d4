// sweep --vary: a configuration trained at a grid of values and seeds, run by run, each in a directory of its own, and compared at the end. What
// is finished is not made again.
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { jsonObject, type JsonObject } from '@xmoe/files';
import { replaceFile } from '@xmoe/files/node';
import { formatCompact, formatDuration } from '@xmoe/train';
import { lockRunDirectory } from '@xmoe/train/node';
import type { Command } from 'commander';
import { compareDirectories, type CompareOptions } from '../compare/compare-command.js';
import type { ComparedProgram } from '../compare/compared-program.js';
import { configOf, type ConfigOptions } from '../command-flags.js';
import type { ConfigResolver } from '../resolve-config.js';
import type { TaskConfig } from '../task.js';
import { alignedFacts, type Terminal } from '../terminal.js';
import { checkFolder } from './check-folder.js';
import { makeRuns } from './make-runs.js';
import { planRuns, type PlannedRun } from './plan-runs.js';
import { flopsOfRuns } from './plan-text.js';
import { EXPERIMENT_FILES, isBegun, runDirectory } from './run-files.js';
import { isDone } from './run-plan.js';
import { combinationsOf, nameOfCombination, parseVary, settingsOf, type Combination } from './vary.js';

/** A program whose runs can be swept over. */
export interface SweptProgram<Config extends TaskConfig> {
  readonly comparison: ComparedProgram;
  readonly resolver: ConfigResolver<Config>;
  /** Forward and backward, of a whole run of this configuration. */
  flopsOf(config: JsonObject): number;
}

export interface SweepRunsOptions extends ConfigOptions {
  readonly backend: string;
  readonly vary?: readonly string[];
  readonly seeds?: number;
  readonly jobs: number;
  readonly out?: string;
  readonly dryRun?: boolean;
}

/** @throws XMoEError what is wrong with the grid or the folder, and what ended a run for another reason than its own numbers */
export async function sweepRuns<Config extends TaskConfig>(terminal: Terminal, { comparison, resolver, flopsOf }: SweptProgram<Config>, options: SweepRunsOptions, command: Command, flags: JsonObject = {}): Promise<void> {
  const { vary = [], seeds: count = 1, jobs, backend, dataRoot, preset } = options;
  const combinations = combinationsOf(vary.map(parseVary));
  const name = basename(preset, '.json');
  // All of them are valid before the first one is trained.
  const arms = [];
  for (const combination of combinations) arms.push(await armOf(resolver, combination, { options, command, flags, name }));
  const first = arms[0]!.seed;
  const seeds = Array.from({ length: count }, (_, index) => first + index);
  const rows = arms.map(({ arm }) => ({ label: arm.name, arm, point: {} }));
  const plan = planRuns([{ name: 'sweep', title: '', question: '', groups: [{ title: '', rows }], claims: [] }], seeds, { scoredByTraining: true });
  const folder = options.out ?? join('runs', `${name}-sweep`);
  const text = planText(plan, { configurations: arms.length, seeds, folder, jobs, flopsOf });
  if (options.dryRun) return terminal.result({ folder, configurations: arms.map(({ arm }) => arm), seeds, runs: plan.length, flops: flopsOfRuns({ flopsOf }, plan) }, text);
  terminal.output.write(text);
  const identity: JsonObject = { program: comparison.program, kind: 'sweep' };
  await checkFolder(folder, identity);
  terminal.outliveReaders(); // what counts is in files
  const lock = await lockRunDirectory(folder);
  try {
    await mkdir(folder, { recursive: true });
    await replaceFile(join(folder, EXPERIMENT_FILES.plan), `${JSON.stringify(identity)}\n`);
    const compare = (to: Terminal, facts: readonly (readonly [string, string])[]): Promise<void> => compareBegun(to, comparison, plan, { out: folder, facts });
    const seconds = await makeRuns(terminal, { plan, folder, backend, dataRoot, jobs, flopsOf, measurements: [] }).catch(async (error: unknown) => {
      await compare({ ...terminal, messages: NOWHERE, result: () => undefined }, []).catch(() => undefined);
      throw error;
    });
    await compare(terminal, [['runs', join(folder, EXPERIMENT_FILES.runs)], ['time', formatDuration(seconds)]]);
  } finally {
    lock.release();
  }
}

const NOWHERE = { write: (): void => undefined };

interface ArmContext {
  readonly options: SweepRunsOptions;
  readonly command: Command;
  /** Those that commander has read already. */
  readonly flags: JsonObject;
  readonly name: string;
}

async function armOf<Config extends TaskConfig>(resolver: ConfigResolver<Config>, combination: Combination, { options, command, flags, name }: ArmContext) {
  const { router, set, flags: varied } = settingsOf(combination);
  const asked = { ...options, ...(router === undefined ? {} : { router }), set: [...(options.set ?? []), ...set] };
  const config = await configOf(resolver, asked, command, { flags: { ...flags, ...varied } });
  const { description: _, ...rest } = jsonObject(config, 'the configuration');
  return { seed: config.train.seed, arm: { name: nameOfCombination(combination, name), config: rest } };
}

interface SweepFacts {
  readonly configurations: number;
  readonly seeds: readonly number[];
  readonly folder: string;
  readonly jobs: number;
  flopsOf(config: JsonObject): number;
}

function planText(plan: readonly PlannedRun[], { configurations, seeds, folder, jobs, ...work }: SweepFacts): string {
  const done = plan.filter((run) => isDone(folder, run));
  return `${alignedFacts([
    ['configurations', String(configurations)],
    ['seeds', seeds.length === 1 ? `${seeds[0]}, which says nothing of the spread` : `${seeds[0]} to ${seeds.at(-1)}`],
    ['runs', `${plan.length}, ${done.length} finished${done.length < plan.length ? `, ${jobs} at a time` : ''}`],
    ['FLOPs', `${formatCompact(flopsOfRuns(work, plan))}, ${formatCompact(flopsOfRuns(work, plan) - flopsOfRuns(work, done))} of them to do`],
    ['folder', folder],
  ])}\n`;
}

/** What was begun, finished or not. */
async function compareBegun(terminal: Terminal, comparison: ComparedProgram, plan: readonly PlannedRun[], options: CompareOptions & { out: string }): Promise<void> {
  const begun = plan.map(({ key }) => runDirectory(options.out, key)).filter(isBegun);
  if (begun.length > 0) await compareDirectories(terminal, comparison, begun.toSorted((a, b) => (a < b ? -1 : 1)), options);
}
