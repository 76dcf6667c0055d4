// Makes what is missing of a plan: a probe for the estimate, the runs with a line for each, the measurements; and hands signals on.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '@xmoe/files/node';
import { formatDuration } from '@xmoe/train';
import { createStopSignal } from '@xmoe/train/node';
import type { Terminal } from '../terminal.js';
import type { JsonObject } from '@xmoe/files';
import type { Measurement } from './experiment.js';
import type { PlannedRun } from './plan-runs.js';
import { probeSpeed, type Speed } from './probe-speed.js';
import { EXPERIMENT_FILES, failureOf, readObject, runDirectory } from './run-files.js';
import { createPlanRunner, isDone } from './run-plan.js';

/** So few say themselves how long they take. */
const FEW_RUNS = 3;

/** A plan, and how its runs are made. */
export interface RunsToMake {
  readonly plan: readonly PlannedRun[];
  readonly folder: string;
  readonly backend: string;
  readonly dataRoot: string;
  readonly jobs: number;
  /** Forward and backward, of a whole run. */
  flopsOf(config: JsonObject): number;
  readonly measurements: readonly { readonly name: string; readonly measurement: Measurement }[];
}

/** Returns the seconds that it took. The exit code tells of a signal. */
export async function makeRuns(terminal: Terminal, work: RunsToMake): Promise<number> {
  const { plan, folder, jobs } = work;
  const started = performance.now();
  const backend = ['--backend', work.backend];
  const flags = { trainFlags: [...backend, '--data-root', work.dataRoot], threads: jobs > 1 ? 1 : undefined };
  const todo = plan.filter((run) => !isDone(folder, run));
  await mkdir(join(folder, EXPERIMENT_FILES.runs), { recursive: true });
  const stop = createStopSignal({ onStop: (reason) => {
    terminal.messages.write(`\n${reason}: saving what is running; once more to quit at once\n`);
    runner.stopRunning();
  } });
  let onRun: RunLines['onRun'] | undefined;
  const runner = createPlanRunner({ folder, jobs, ...flags, sweepFlags: backend, stop, onRun: (...run) => onRun?.(...run) });
  try {
    let costOf: RunCost = (config) => work.flopsOf(config);
    if (todo.length > FEW_RUNS) {
      const speed = await probeSpeed(todo[0]!.config, { directory: join(folder, 'probe'), ...flags, flopsOf: (config) => work.flopsOf(config) });
      if (speed) costOf = (config) => secondsOf(work, speed, config);
      terminal.messages.write(speed ? estimateText(jobs, todo, costOf) : 'The probe of speed did not come to its end; the first run will say why\n');
    }
    ({ onRun } = createRunLines(terminal, work, todo, costOf));
    if (!stop.requested) await runner.run(plan);
    if (!stop.requested) await makeMeasurements(terminal, work);
    terminal.exitCode = stop.exitCode;
    return (performance.now() - started) / 1000;
  } finally {
    stop.dispose();
  }
}

/** What a run costs beside others: its seconds by a probe, or its FLOPs. */
type RunCost = (config: JsonObject) => number;

const secondsOf = (work: RunsToMake, speed: Speed, config: JsonObject): number => work.flopsOf(config) / speed.flopsPerSecond + speed.secondsBeside;

const sumOf = (runs: readonly PlannedRun[], costOf: RunCost): number => runs.reduce((sum, { config }) => sum + costOf(config), 0);

function estimateText(jobs: number, todo: readonly PlannedRun[], secondsOfRun: RunCost): string {
  const seconds = sumOf(todo, secondsOfRun) / Math.min(jobs, todo.length);
  return `About ${formatDuration(seconds)} by a short probe, if ${jobs === 1 ? 'the machine stays' : `${jobs} cores stay`} as free as now\n`;
}

interface RunLines {
  onRun(run: PlannedRun, outcome: 'finished' | 'failed', seconds: number): void;
}

/** A line for each run, with what is left by the share of the cost that is done. */
function createRunLines({ messages }: Terminal, { plan, folder }: RunsToMake, todo: readonly PlannedRun[], costOf: RunCost): RunLines {
  const started = performance.now();
  const total = sumOf(todo, costOf);
  let [done, cost] = [plan.length - todo.length, 0];
  return {
    onRun(run, outcome, seconds) {
      done += 1;
      cost += costOf(run.config);
      const left = ((performance.now() - started) / 1000) * (total / cost - 1);
      const what = outcome === 'finished' ? `finished in ${formatDuration(seconds)}` : `has no result: ${failureOf(runDirectory(folder, run.key)) ?? ''}`;
      messages.write(`[${done}/${plan.length}] ${run.key} ${what}${done < plan.length ? `; about ${formatDuration(left)} left` : ''}\n`);
    },
  };
}

async function makeMeasurements({ messages }: Terminal, { measurements, folder, backend }: RunsToMake): Promise<void> {
  for (const { name, measurement } of measurements) {
    const path = measurementPath(folder, measurement.name);
    if (readObject(path) !== undefined) continue;
    messages.write(`${name}: measuring, about ${formatDuration(measurement.seconds)}\n`);
    await mkdir(join(folder, EXPERIMENT_FILES.measurements), { recursive: true });
    await replaceFile(path, `${JSON.stringify(await measurement.measure(backend), null, 1)}\n`);
  }
}

export const measurementPath = (folder: string, name: string): string => join(folder, EXPERIMENT_FILES.measurements, `${name}.json`);
