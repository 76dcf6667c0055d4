// What a run directory holds and in which order it comes to be. Knows no model.
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { z } from 'zod';
import { createCheckpointStore, locateCheckpoint, readConfigText, type ProgressStream } from '@xmoe/train/node';
import { parseConfig } from '@xmoe/train';
import { replaceFile } from '@xmoe/files/node';
import { isPlainObject, parseJson, type JsonObject } from '@xmoe/files';
import { initialRecordSchema, type InitialRecord } from './initial-weights.js';
import type { RunChange } from './report/report-data.js';
import { runHint } from './nearest-run.js';
import { configChanges } from './resumable-config.js';

/** Names in a run directory. */
export const RUN_FILES = {
  config: 'config.json', metrics: 'metrics.jsonl', tensorboard: 'tensorboard', checkpoints: 'checkpoints', summary: 'summary.json', report: 'report.html',
} as const;

/** What config.json of a run holds. */
export interface RunRecord<Config> {
  /** Which program trains it. Absent from runs that were made before this was written down. */
  program?: string;
  preset: string;
  /** The backend that the run began on: results are bit for bit the same only there. */
  backend: string;
  /** Directory of the prepared data; empty where there are none. */
  data: string;
  /** false: weights that no training of this run made. Absent: trained. */
  trained?: false;
  config: Config;
  /** The weights that it began with; absent for random ones. */
  initial?: InitialRecord;
  /** What was changed on the way, in order. */
  changes?: RunChange[];
}

const changesSchema = z.array(z.object({ step: z.int().nonnegative(), changed: z.record(z.string(), z.tuple([z.string(), z.string()])) }));

/** By program, a key of its models alone: tells the runs apart whose record does not name the program. */
const MARKS: Readonly<Record<string, string>> = { 'xmoe-lm': 'layers', 'xmoe-nmt': 'encoderLayers' };

/** config.json of the run in `directory`, which is one of `program`. */
export async function readRunRecord<Config>(directory: string, configSchema: z.ZodType<Config>, program: string): Promise<RunRecord<Config>> {
  const path = join(directory, RUN_FILES.config);
  const text = await readConfigText(path).catch((cause: unknown) => {
    if (cause instanceof XMoEError) throw cause;
    throw new XMoEError('config', `${directory} holds no run: ${RUN_FILES.config} is not there`, { hint: runHint(directory), cause });
  });
  const value = parseJson(text, { where: path });
  const other = programOf(value);
  // Said before a long list of keys that are unknown here.
  if (other !== undefined && other !== program) throw new XMoEError('config', `${directory} is a run of ${other}`, { hint: `use ${other}` });
  if (isPlainObject(value) && typeof value.model_type === 'string' && value.config === undefined) {
    throw new XMoEError('config', `${directory} is a Hugging Face folder, and no run`, { hint: `make one of it: import ${directory} --out RUN` });
  }
  const schema = z.object({ program: z.string().optional(), preset: z.string(), backend: z.string(), data: z.string(), config: configSchema, trained: z.literal(false).optional(), initial: initialRecordSchema.optional(), changes: changesSchema.optional() });
  return parseConfig(schema, value, { where: path });
}

/** What was changed on the way, as config.json of the run in `directory` has it. */
export async function readChanges(directory: string): Promise<RunChange[]> {
  const path = join(directory, RUN_FILES.config);
  const { changes } = parseConfig(z.looseObject({ changes: changesSchema.default([]) }), parseJson(await readConfigText(path), { where: path }), { where: path });
  return changes;
}

/** The program that a record is of; undefined where nothing tells. */
function programOf(record: unknown): string | undefined {
  if (!isPlainObject(record)) return undefined;
  if (typeof record.program === 'string') return record.program;
  const model = isPlainObject(record.config) && isPlainObject(record.config.model) ? record.config.model : {};
  return Object.keys(MARKS).find((name) => Object.hasOwn(model, MARKS[name]!));
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

/** Under the lock: keeps in config.json what the session that goes on from `step` changes, and says so. */
export async function recordChanges<Config>(out: string, record: RunRecord<Config>, { config, step, stream }: { config: Config; step: number; stream: ProgressStream }): Promise<void> {
  const changes = configChanges(record.config, config);
  if (changes.length === 0) return;
  const changed = Object.fromEntries(changes.map(({ key, before = 'null', after = 'null' }): [string, [string, string]] => [key, [before, after]]));
  const next: RunRecord<Config> = { ...record, config, changes: [...(record.changes ?? []), { step, changed }] };
  await replaceFile(join(out, RUN_FILES.config), `${JSON.stringify(next, null, 2)}\n`);
  stream.write(`From step ${step} on: ${changes.map(({ key, before, after }) => `${key} ${before} → ${after}`).join(', ')}\n`);
}

/** The path of the checkpoint to go on from that a user names; undefined for the latest valid one. */
export async function resumePath(out: string, which: string | undefined): Promise<string | undefined> {
  if (which === undefined || which === 'latest') return undefined;
  const checkpoints = join(out, RUN_FILES.checkpoints);
  const store = createCheckpointStore({ directory: checkpoints });
  return which === 'best' ? (await store.best())?.path : locateCheckpoint(out, which, store);
}

/** Raises an error when the tokenizer is not the one that the checkpoint was trained with. */
export function checkTokenizer(saved: JsonObject, hash: string, where: string): void {
  if (saved.tokenizerHash === hash) return;
  throw new XMoEError('data', `the tokenizer is not the one that ${where} was trained with`, { hint: 'use the data that the run was trained on' });
}
