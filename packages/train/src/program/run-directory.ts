// What a run directory holds and in which order it comes to be; finding and opening its checkpoints. Knows no model.
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { z } from 'zod';
import { createCheckpointStore, findBest, lockRunDirectory, replaceFile, type LoadedCheckpoint } from '../checkpoint/index.js';
import { readConfigText } from '../config/config-text.js';
import { parseConfig, parseJson, type JsonObject } from '../config/index.js';
import { createStopSignal, type StopSignal } from '../lifecycle/index.js';
import type { ProgressStream } from '../metrics/index.js';

/** Names in a run directory. */
export const RUN_FILES = {
  config: 'config.json', metrics: 'metrics.jsonl', tensorboard: 'tensorboard', checkpoints: 'checkpoints', summary: 'summary.json', report: 'report.html',
} as const;

/** What config.json of a run holds. */
export interface RunRecord<Config> {
  preset: string;
  /** The backend that the run began on: results are bit for bit the same only there. */
  backend: string;
  /** Directory of the prepared data. */
  data: string;
  config: Config;
}

/** config.json of the run in `directory`. */
export async function readRunRecord<Config>(directory: string, configSchema: z.ZodType<Config>): Promise<RunRecord<Config>> {
  const path = join(directory, RUN_FILES.config);
  const text = await readConfigText(path).catch((cause: unknown) => {
    if (cause instanceof XMoEError) throw cause;
    throw new XMoEError('config', `${directory} holds no run: ${RUN_FILES.config} is not there`, { hint: 'name the directory that train wrote', cause });
  });
  const schema = z.object({ preset: z.string(), backend: z.string(), data: z.string(), config: configSchema });
  return parseConfig(schema, parseJson(text, { where: path }), { where: path });
}

/** @throws XMoEError `config` when there is a run in `out` */
export function refuseExistingRun(out: string): void {
  if (![RUN_FILES.config, RUN_FILES.metrics, RUN_FILES.checkpoints].some((name) => existsSync(join(out, name)))) return;
  throw new XMoEError('config', `${out} holds a run already`, { hint: 'go on with --resume, or choose another --out' });
}

/**
 * Under the lock: writes config.json of a new run, or says whether there is a checkpoint to resume from. A run that was
 * killed before its first one begins again.
 * @param record of a new run; null to go on with the one there is
 */
export async function beginOrResume<Config>(out: string, record: RunRecord<Config> | null, stream: ProgressStream): Promise<boolean> {
  if (record) {
    refuseExistingRun(out); // another process may have been quicker
    await replaceFile(join(out, RUN_FILES.config), `${JSON.stringify(record, null, 2)}\n`);
    return false;
  }
  const names = await readdir(join(out, RUN_FILES.checkpoints)).catch(() => []);
  if (names.some((name) => name.startsWith('step-'))) return true;
  stream.write('No checkpoint was saved yet: starting from the beginning\n');
  for (const name of [RUN_FILES.metrics, RUN_FILES.tensorboard]) await rm(join(out, name), { recursive: true, force: true });
  return false;
}

export interface LockedRun {
  stop: StopSignal;
  /** From now on a signal ends what follows the training. */
  markTrained(): void;
}

/** Runs `use` while the run directory is locked and signals are heard. */
export async function withLockedRun<R>(out: string, stream: ProgressStream, use: (run: LockedRun) => Promise<R>): Promise<R> {
  const lock = await lockRunDirectory(out);
  let trained = false;
  const stop = createStopSignal({
    onStop: (reason) => stream.write(`\n${reason}: ${trained ? 'ending; the trained model is saved' : 'saving a checkpoint'}; once more to quit at once\n`),
  });
  try {
    return await use({ stop, markTrained: () => void (trained = true) });
  } finally {
    stop.dispose();
    lock.release();
  }
}

export interface CheckpointChoice {
  /** `best`, `latest`, the name of one in the run, or a path. */
  checkpoint: string;
  onWarning: (message: string) => void;
}

/** The checkpoint of a run that a user names. */
export async function loadRunCheckpoint(directory: string, { checkpoint: which, onWarning }: CheckpointChoice): Promise<LoadedCheckpoint> {
  const checkpoints = join(directory, RUN_FILES.checkpoints);
  const store = createCheckpointStore({ directory: checkpoints, onWarning });
  if (which === 'latest') return store.loadLatest();
  if (which !== 'best') return store.load(existsSync(join(checkpoints, which)) ? join(checkpoints, which) : which);
  const best = await findBest(checkpoints);
  return best ? store.load(best) : store.loadLatest();
}

/** Raises an error when the tokenizer is not the one that the checkpoint was trained with. */
export function checkTokenizer(saved: JsonObject, hash: string, where: string): void {
  if (saved.tokenizerHash === hash) return;
  throw new XMoEError('data', `the tokenizer is not the one that ${where} was trained with`, { hint: 'use the data that the run was trained on' });
}
