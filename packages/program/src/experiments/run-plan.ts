// Makes the runs of a plan, several at a time, each by commands of the program that a user could type; what is finished is not made
// again, and what was begun goes on. Knows no model.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { XMoEError, type ErrorCode } from '@xmoe/core';
import { isPlainObject, parseJson, type JsonValue } from '@xmoe/files';
import { replaceFile } from '@xmoe/files/node';
import { EXIT_CODES } from '../exit-codes.js';
import { startChild, type ChildEnded, type ChildProgram } from './child-program.js';
import type { Figures, Point } from './experiment.js';
import type { PlannedRun } from './plan-runs.js';
import { addPoints, failureOf, isBegun, isTrained, missingPoints, runDirectory, writeFailure } from './run-files.js';

export interface RunPlanOptions {
  readonly folder: string;
  readonly jobs: number;
  /** Of the engine on the CPU, for each run; undefined: as the environment says. */
  readonly threads: number | undefined;
  /** Flags that every training has, e.g. --backend and --data-root. */
  readonly trainFlags: readonly string[];
  /** Those of every evaluation. */
  readonly sweepFlags: readonly string[];
  /** Starts a command of the program as a process. Default: this very executable. */
  readonly start?: (args: readonly string[], threads: number | undefined) => ChildProgram;
  /** Whether to end, with what was begun saved. */
  readonly stop: { readonly requested: boolean };
  /** Told when a run is finished, or has failed. */
  onRun(run: PlannedRun, outcome: 'finished' | 'failed', seconds: number): void;
}

/** A run that there is nothing left to do for. */
export const isDone = (folder: string, { key, points }: PlannedRun): boolean => {
  const directory = runDirectory(folder, key);
  return failureOf(directory) !== undefined || (isTrained(directory) && missingPoints(directory, points).length === 0);
};

/** What the children that are running now are told when the plan ends. */
export interface PlanRunner {
  /** Makes all that is missing. @throws XMoEError what ended a run for another reason than its own numbers */
  run(plan: readonly PlannedRun[]): Promise<void>;
  /** Asks what is running to save and end. */
  stopRunning(): void;
}

export function createPlanRunner(options: RunPlanOptions): PlanRunner {
  const running = new Set<ChildProgram>();
  const stopRunning = (): void => running.forEach((child) => child.stop());
  let failed = false;
  const finished = (): boolean => failed || options.stop.requested;
  const runChild = async (args: readonly string[]): Promise<ChildEnded> => {
    const child = (options.start ?? startChild)(args, options.threads);
    running.add(child);
    try {
      return await child.ended;
    } finally {
      running.delete(child);
    }
  };
  return {
    stopRunning,
    async run(plan) {
      await mkdir(join(options.folder, PRESETS), { recursive: true });
      const waiting = plan.filter((run) => !isDone(options.folder, run));
      const work = async (): Promise<void> => {
        for (let run = waiting.shift(); run && !finished(); run = waiting.shift()) await makeRun(run, options, runChild, finished);
      };
      const workers = Array.from({ length: options.jobs }, () => work().catch((error: unknown) => {
        if (!failed) stopRunning(); // the others save what they have
        failed = true;
        throw error;
      }));
      const ended = await Promise.allSettled(workers);
      const problem = ended.find((outcome) => outcome.status === 'rejected');
      if (problem) throw problem.reason;
    },
  };
}

type RunChild = (args: readonly string[]) => Promise<ChildEnded>;

async function makeRun(run: PlannedRun, options: RunPlanOptions, runChild: RunChild, finished: () => boolean): Promise<void> {
  const directory = runDirectory(options.folder, run.key);
  const started = performance.now();
  const told = (outcome: 'finished' | 'failed'): void => options.onRun(run, outcome, (performance.now() - started) / 1000);
  const source = run.from === undefined ? undefined : runDirectory(options.folder, run.from);
  while (source !== undefined && !isTrained(source)) {
    if (finished()) return;
    if (failureOf(source) !== undefined) {
      await writeFailure(directory, `${run.from!}, whose weights it begins with, has no result`);
      return told('failed');
    }
    await sleep(BUSY_WAIT_MS); // it is before this run in the plan: another worker makes it
  }
  while (!isTrained(directory)) {
    const { code, messages } = await runChild(await trainArguments(run, directory, options));
    if (finished()) return;
    if (code === EXIT_CODES.done) continue;
    // A run of a call that was killed goes on by itself to its end.
    if (code === EXIT_CODES.busy) await sleep(BUSY_WAIT_MS);
    else if (code === EXIT_CODES.noResult) {
      await writeFailure(directory, firstError(messages));
      return told('failed');
    } else throw childError(code, messages, run.key);
  }
  const missing = missingPoints(directory, run.points);
  if (missing.length > 0) {
    const path = join(options.folder, PRESETS, `${run.key}.points.json`);
    await replaceFile(path, `${JSON.stringify(missing)}\n`);
    const { code, output, messages } = await runChild(['sweep', directory, '--points', path, '--json', ...options.sweepFlags]);
    if (finished()) return;
    if (code !== EXIT_CODES.done) throw childError(code, messages, run.key);
    await addPoints(directory, readSweep(output, missing, directory));
  }
  told('finished');
}

const BUSY_WAIT_MS = 2000;

/** Subfolder of what is trained, as preset files, and of points. */
const PRESETS = 'presets';

/** Also writes what is trained as a preset file. */
async function trainArguments({ key, config, from }: PlannedRun, directory: string, { folder, trainFlags }: RunPlanOptions): Promise<string[]> {
  if (isBegun(directory)) return ['train', '--resume', '--out', directory, ...trainFlags];
  const preset = join(folder, PRESETS, `${key}.json`);
  await replaceFile(preset, `${JSON.stringify(config, null, 1)}\n`);
  return ['train', '--preset', preset, ...(from === undefined ? [] : ['--init-from', runDirectory(folder, from)]), '--out', directory, ...trainFlags];
}

/** What `sweep --json --points` printed: the figures of each point, in their order. */
function readSweep(output: string, points: readonly Point[], directory: string): { point: Point; figures: Figures }[] {
  const value: JsonValue = parseJson(output, { where: `the figures of ${directory}` });
  const evaluations = isPlainObject(value) ? value.evaluations : undefined;
  if (!Array.isArray(evaluations) || evaluations.length !== points.length) throw new XMoEError('data', `${directory} was evaluated at other points than asked for`, { hint: 'call it again' });
  return points.map((point, index) => ({ point, figures: (evaluations[index] as { figures: Figures }).figures }));
}

/** The first line of error that a child wrote. */
const firstError = (messages: string): string => /^(?:unexpected )?error: .*$/m.exec(messages)?.[0].replace(/^(?:unexpected )?error: /, '') ?? (messages.trim().split('\n').at(-1) || 'it said nothing');

const CODES: Readonly<Record<number, ErrorCode>> = {
  [EXIT_CODES.usage]: 'config', [EXIT_CODES.checkpoint]: 'checkpoint', [EXIT_CODES.data]: 'data', [EXIT_CODES.device]: 'backend', [EXIT_CODES.io]: 'io', [EXIT_CODES.busy]: 'busy',
};

function childError(code: number, messages: string, key: string): XMoEError {
  return new XMoEError(CODES[code] ?? 'interrupted', `the run ${key} ended with code ${code}: ${firstError(messages)}`, {
    hint: 'what is finished is kept: put it right and give the same command again',
  });
}
