// What checkpoints a directory holds, in the order they were saved, complete or damaged. Reads manifests only.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { readManifest, verifyManifest } from './manifest.js';

export interface CheckpointEntry {
  name: string;
  path: string;
  step: number;
  /** Lower is better; null when there was none or it was not finite. */
  metric: number | null;
  /** Rises with every save of the run: the newest is the highest, whatever its step. */
  sequence: number;
  /** Not known to be good: see `SaveRequest`. */
  provisional: boolean;
}

/** One name of the directory; `entry` is absent when the manifest or a file's size is wrong. */
export interface FoundCheckpoint {
  name: string;
  path: string;
  sequence: number;
  entry?: CheckpointEntry;
}

const NAME = /^step-\d{8,}(-\d+)?$/;

/**
 * All checkpoints, oldest first: by the sequence in the manifest, since after a resume from an earlier step the newest has
 * not the highest step. One without a readable manifest comes right after the step before it.
 */
export async function findCheckpoints(directory: string): Promise<FoundCheckpoint[]> {
  const names = await readdir(directory).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return [];
    throw new XMoEError('checkpoint', `cannot read ${directory}: ${cause.message}`, { cause });
  });
  const found = await Promise.all(
    names.filter((name) => NAME.test(name)).sort().map((name) => inspect(directory, name)),
  );
  let previous = 0;
  return found
    .map((checkpoint) => ({ ...checkpoint, sequence: (previous = checkpoint.sequence ?? previous + 0.5) }))
    .sort((a, b) => a.sequence - b.sequence);
}

async function inspect(directory: string, name: string): Promise<Omit<FoundCheckpoint, 'sequence'> & { sequence?: number }> {
  const path = join(directory, name);
  const manifest = await readManifest(path).catch(() => undefined);
  const { step, metric, sequence, provisional } = manifest?.info ?? {};
  if (typeof step !== 'number' || typeof sequence !== 'number') return { name, path };
  const complete = await verifyManifest(path, 'sizes').then(() => true, () => false);
  if (!complete) return { name, path, sequence };
  return { name, path, sequence, entry: { name, path, step, metric: typeof metric === 'number' ? metric : null, sequence, provisional: provisional === true } };
}

/** A name for a checkpoint of `step` that is free: `step-00000100`, then `step-00000100-2`. Nothing is written over. */
export async function freeCheckpointName(directory: string, step: number): Promise<string> {
  const taken = new Set(await readdir(directory));
  const base = `step-${String(step).padStart(8, '0')}`;
  for (let copy = 1; ; copy++) {
    const name = copy === 1 ? base : `${base}-${copy}`;
    if (!taken.has(name)) return name;
  }
}

/** The one with the lowest metric, the older of equals. */
export function bestOf(entries: readonly CheckpointEntry[]): CheckpointEntry | undefined {
  return entries.reduce<CheckpointEntry | undefined>(
    (best, entry) => (entry.metric !== null && (best === undefined || entry.metric < best.metric!) ? entry : best),
    undefined,
  );
}
