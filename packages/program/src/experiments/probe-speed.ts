// How fast this machine makes runs like those of a plan: a training of a few steps, measured from outside as well. An estimate.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '@xmoe/files/node';
import type { JsonObject } from '@xmoe/files';
import { RUN_FILES } from '../run-directory.js';
import { startChild } from './child-program.js';
import { readObject } from './run-files.js';

export interface Speed {
  /** In training steps, of one run at a time. */
  readonly flopsPerSecond: number;
  /** Of each run besides: start, evaluation, report. */
  readonly secondsBeside: number;
}

const PROBE_STEPS = 60;

export interface ProbeOptions {
  /** A folder that is removed afterwards. */
  readonly directory: string;
  readonly trainFlags: readonly string[];
  readonly threads: number | undefined;
  flopsOf(config: JsonObject): number;
}

/** Undefined where the probe fails: then the first run will tell why. */
export async function probeSpeed(config: JsonObject, { directory, trainFlags, threads, flopsOf }: ProbeOptions): Promise<Speed | undefined> {
  const steps = Math.min(PROBE_STEPS, Number((config.train as JsonObject).steps));
  const short: JsonObject = { ...config, train: { ...(config.train as JsonObject), steps, warmupSteps: 0 } };
  const run = join(directory, 'run');
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  try {
    const preset = join(directory, 'probe.json');
    await replaceFile(preset, JSON.stringify(short));
    const started = performance.now();
    const { code } = await startChild(['train', '--preset', preset, '--out', run, ...trainFlags], threads).ended;
    const seconds = (performance.now() - started) / 1000;
    const training = Number(readObject(join(run, RUN_FILES.summary))?.trainingSeconds);
    return code === 0 && training > 0 ? { flopsPerSecond: flopsOf(short) / training, secondsBeside: Math.max(0, seconds - training) } : undefined;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
