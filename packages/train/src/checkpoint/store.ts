// The checkpoints of one run: save as a unit, list, load the latest valid one, keep the last K and the best. Knows
// nothing of models: tensors by group, and a JSON state. The lock of the run directory is run-lock.ts.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { isPlainObject, parseJson, type JsonObject } from '@xmoe/files';
import { removeDirectory, removeStaleTemporaries, replaceFile, makeDirectory, type FileContent } from '@xmoe/files/node';
import { writeDirectory } from './write-directory.js';
import { decodeState, encodeState } from './checkpoint-state.js';
import { bestOf, findCheckpoints, freeCheckpointName, type CheckpointEntry, type FoundCheckpoint } from './checkpoint-list.js';
import { encodeManifest, MANIFEST_NAME, readManifest, verifyManifest } from './manifest.js';
import { openTensorFiles, tensorFiles, type SavableTensor } from './tensor-files.js';
import type { FiledTensor, StoredTensor } from './tensor-format.js';

export interface CheckpointStoreOptions {
  readonly directory: string;
  /** How many of the newest to keep, at least 1. Default 2. */
  readonly keepLast?: number;
  /** Whether the one with the lowest metric survives as well. Default true. */
  readonly keepBest?: boolean;
  /** Told about each damaged checkpoint that is skipped. Default: a warning of the process. */
  readonly onWarning?: (message: string) => void;
}

export interface CheckpointContent {
  /** Training steps done, a whole number ≥ 0. */
  step: number;
  /** By group, e.g. `parameters` and `optimizer`: one safetensors file each. */
  tensors: Readonly<Record<string, readonly StoredTensor[]>>;
  /** Everything else that a resumed run needs, as plain JSON without NaN or infinities. */
  state: JsonObject;
}

export interface SaveRequest extends Omit<CheckpointContent, 'tensors'> {
  /** As in {@link CheckpointContent}; those that are to be read are, one after another, in the order of the file. */
  tensors: Readonly<Record<string, readonly SavableTensor[]>>;
  /** Lower is better. NaN, infinities and null never count as best. */
  metric?: number | null;
  /** More files to keep with it, e.g. `tokenizer.json`. */
  files?: Readonly<Record<string, FileContent>>;
  /** Whether NaN and infinities in float tensors are saved rather than refused. Default false. */
  allowNonFinite?: boolean;
  /**
   * Saved so that nothing is lost, while it is not known to be good: it counts neither among those to keep nor pushes one of
   * them out, and goes once a later one is saved. Default false.
   */
  provisional?: boolean;
  /** Awaited once all is on the disk, before it has its name: what it throws leaves nothing. */
  ready?: () => Promise<void>;
}

/** A checkpoint of which every byte was found right, its tensors not read yet. */
export interface OpenedCheckpoint extends Omit<CheckpointContent, 'tensors'> {
  path: string;
  metric: number | null;
  tensors: Record<string, FiledTensor[]>;
}

export interface LoadedCheckpoint extends CheckpointContent {
  path: string;
  metric: number | null;
  tensors: Record<string, StoredTensor[]>;
}

export interface CheckpointStore {
  readonly directory: string;
  /** Writes one, then removes those that need not be kept. The tensors must not change until it is done. */
  save(request: SaveRequest): Promise<CheckpointEntry>;
  /** Gives the saved one at `path` the metric that was measured after it, then keeps and removes as {@link save} does. */
  rate(path: string, metric: number): Promise<void>;
  /** Those with a readable manifest and files of the right size, oldest first. */
  list(): Promise<CheckpointEntry[]>;
  /** The one with the lowest metric. */
  best(): Promise<CheckpointEntry | undefined>;
  /** The newest whose every byte is right; damaged ones are named in a warning and skipped. */
  loadLatest(): Promise<LoadedCheckpoint>;
  /** That one, verified. */
  load(path: string): Promise<LoadedCheckpoint>;
  /** What {@link loadLatest} and {@link load} find, for who reads the tensors one by one or in part. */
  openLatest(): Promise<OpenedCheckpoint>;
  open(path: string): Promise<OpenedCheckpoint>;
}

const BEST_NAME = 'best.json';
const STATE_NAME = 'state.json';

/** The store of the checkpoints in `directory`. Nothing is read or written before the first call. */
export function createCheckpointStore(options: CheckpointStoreOptions): CheckpointStore {
  const { directory, keepLast = 2, keepBest = true } = options;
  const warn = options.onWarning ?? ((message: string) => process.emitWarning(message, { type: 'XMoEWarning' }));
  if (!Number.isInteger(keepLast) || keepLast < 1) {
    throw new XMoEError('checkpoint', `keepLast must be a whole number of at least 1, got ${keepLast}`);
  }
  let prepared: Promise<unknown> | undefined; // once per store, and only when it writes: readers remove nothing
  const damaged = new Set<string>(); // found by loadLatest; the sizes of these may look right

  const find = async (): Promise<FoundCheckpoint[]> =>
    (await findCheckpoints(directory)).map((found) => (damaged.has(found.name) ? { ...found, entry: undefined } : found));
  const newestBut = async (tried: ReadonlySet<string>) => (await findCheckpoints(directory)).findLast(({ name }) => !tried.has(name));
  const list = async () => (await find()).flatMap(({ entry }) => entry ?? []);

  async function save(request: SaveRequest): Promise<CheckpointEntry> {
    const { step, tensors, state, files = {}, allowNonFinite = false, provisional = false, ready } = request;
    checkRequest(request);
    prepared ??= makeDirectory(directory).then(() => removeStaleTemporaries(directory));
    await prepared;
    const metric = Number.isFinite(request.metric) ? request.metric! : null;
    const sequence = Math.floor((await find()).at(-1)?.sequence ?? 0) + 1;
    const name = await freeCheckpointName(directory, step);
    const contents: Record<string, FileContent> = { ...files, [STATE_NAME]: encodeState(step, state), ...tensorFiles(tensors, { allowNonFinite }) };
    await writeDirectory(join(directory, name), contents, { step, metric, sequence, ...(provisional ? { provisional } : {}) }, ready);
    await retain(directory, await find(), keepLast, keepBest);
    return { name, path: join(directory, name), step, metric, sequence, provisional };
  }

  async function rate(path: string, metric: number): Promise<void> {
    if (!Number.isFinite(metric)) return;
    const manifest = await readManifest(path);
    // The temporary file lies beside the checkpoints, where leftovers are looked for.
    await replaceFile(join(path, MANIFEST_NAME), encodeManifest({ ...manifest, info: { ...manifest.info, metric } }), { beside: path });
    await retain(directory, await find(), keepLast, keepBest);
  }

  async function latest<Opened>(open: (path: string) => Promise<Opened>): Promise<Opened> {
    const tried = new Set<string>();
    // Looked for each time: a run that goes on removes old ones while they are read, and has newer ones then.
    for (let next = await newestBut(tried); next; next = await newestBut(tried)) {
      tried.add(next.name);
      try {
        return await open(next.path);
      } catch (error) {
        if (!existsSync(next.path)) continue;
        damaged.add(next.name);
        warn(`checkpoint ${next.path} is skipped: ${(error as Error).message}`);
      }
    }
    const found = tried.size === 0 ? 'holds no checkpoint' : `holds no valid checkpoint: all ${tried.size} are damaged`;
    throw new XMoEError('checkpoint', `${directory} ${found}`, { hint: 'start a new run, or name another directory' });
  }

  return {
    directory, save, rate, list,
    loadLatest: () => latest(loadCheckpoint), load: loadCheckpoint, openLatest: () => latest(openCheckpoint), open: openCheckpoint,
    best: async () => bestOf(await list()),
  };
}

function checkRequest({ step, tensors }: Pick<SaveRequest, 'step' | 'tensors'>): void {
  if (!Number.isSafeInteger(step) || step < 0) throw new XMoEError('checkpoint', `${step} is not a number of steps`);
  for (const group of Object.keys(tensors)) {
    if (!/^[a-z][a-z0-9-]*$/i.test(group)) throw new XMoEError('checkpoint', `"${group}" cannot name a group of tensors`);
  }
}

async function openCheckpoint(path: string): Promise<OpenedCheckpoint> {
  const manifest = await verifyManifest(path, 'content');
  if (!Object.hasOwn(manifest.files, STATE_NAME)) throw new XMoEError('checkpoint', `${path} has no ${STATE_NAME}`);
  const { step, state } = decodeState(await readFile(join(path, STATE_NAME), 'utf8'), join(path, STATE_NAME));
  const tensors = await openTensorFiles(path, Object.keys(manifest.files));
  if (!tensors.parameters?.length) throw new XMoEError('checkpoint', `${path} has no parameters`, { hint: 'use another checkpoint' });
  const { metric } = manifest.info;
  return { path, step, state, tensors, metric: typeof metric === 'number' ? metric : null };
}

async function loadCheckpoint(path: string): Promise<LoadedCheckpoint> {
  const opened = await openCheckpoint(path);
  const tensors: Record<string, StoredTensor[]> = {};
  for (const [group, all] of Object.entries(opened.tensors)) {
    tensors[group] = [];
    for (const tensor of all) tensors[group].push({ name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, data: await tensor.read() });
  }
  return { ...opened, tensors };
}

/**
 * Keeps the newest K and the best, removes the other complete ones, and points `best.json` at the best. Damaged and
 * provisional ones do not count towards K, so they never push a good one out; they go once K good ones are newer, and of
 * the provisional ones only the newest of all stays.
 */
async function retain(directory: string, all: readonly FoundCheckpoint[], keepLast: number, keepBest: boolean): Promise<void> {
  const entries = all.flatMap(({ entry }) => entry ?? []);
  const best = keepBest ? bestOf(entries) : undefined;
  // The pointer moves before anything is removed: at every moment it names a checkpoint that exists.
  if (best) {
    const { name, step, metric } = best;
    await replaceFile(join(directory, BEST_NAME), `${JSON.stringify({ name, step, metric })}\n`);
  }
  const newest = entries.filter(({ provisional }) => !provisional).slice(-keepLast);
  const superseded = newest.length === keepLast ? newest[0]!.sequence : 0;
  for (const { path, entry, sequence } of all) {
    const overtaken = entry?.provisional === true && entry !== entries.at(-1);
    if ((sequence < superseded || overtaken) && (entry === undefined || entry !== best)) await removeDirectory(path);
  }
}

/**
 * The path of the checkpoint that `best.json` of `directory` points at, or undefined when there is none. The file is for
 * other programs: this one goes by the manifests.
 */
export async function readBestPointer(directory: string): Promise<string | undefined> {
  const where = join(directory, BEST_NAME);
  const text = await readFile(where, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const value = parseJson(text, { where, code: 'checkpoint' });
  if (isPlainObject(value) && typeof value.name === 'string' && basename(value.name) === value.name) {
    return join(directory, value.name);
  }
  throw new XMoEError('checkpoint', `${where} does not name a checkpoint`, { hint: 'delete it; the next save writes it again' });
}
