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
import { flopsOfRuns } from './plan-text.js';
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
  const progress = createRunLines(terminal, work, todo);
  const runner = createPlanRunner({ folder, jobs, ...flags, sweepFlags: backend, stop, onRun: progress.onRun });
  try {
    if (todo.length > FEW_RUNS) {
      const speed = await probeSpeed(todo[0]!.config, { directory: join(folder, 'probe'), ...flags, flopsOf: (config) => work.flopsOf(config) });
      terminal.messages.write(estimateText(work, todo, speed));
    }
    if (!stop.requested) await runner.run(plan);
    if (!stop.requested) await makeMeasurements(terminal, work);
    terminal.exitCode = stop.exitCode;
    return (performance.now() - started) / 1000;
  } finally {
    stop.dispose();
  }
}

function estimateText({ jobs, ...work }: RunsToMake, todo: readonly PlannedRun[], speed: Speed | undefined): string {
  if (!speed) return 'The probe of speed did not come to its end; the first run will say why\n';
  const flops = flopsOfRuns(work, todo);
  const seconds = (flops / speed.flopsPerSecond + todo.length * speed.secondsBeside) / Math.min(jobs, todo.length);
  return `About ${formatDuration(seconds)} by a short probe, if ${jobs === 1 ? 'the machine' : `${jobs} cores`} stay as free as now\n`;
}

/** A line for each run, with what is left by the share of FLOPs that is done. */
function createRunLines({ messages }: Terminal, { plan, folder, ...work }: RunsToMake, todo: readonly PlannedRun[]) {
  const started = performance.now();
  const total = flopsOfRuns(work, todo);
  let [done, flops] = [plan.length - todo.length, 0];
  return {
    onRun(run: PlannedRun, outcome: 'finished' | 'failed', seconds: number): void {
      done += 1;
      flops += work.flopsOf(run.config);
      const left = ((performance.now() - started) / 1000) * (total / flops - 1);
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
