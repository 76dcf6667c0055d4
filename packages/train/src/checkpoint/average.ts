// The average of several checkpoints as a checkpoint of its own beside them, and the order of checkpoints by their metric.
// Which ones are averaged, and what metric the mean has, is the program's to say; the mean itself is average-tensors.ts.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { removeDirectory, type FileContent } from '@xmoe/files/node';
import { writeDirectory } from './write-directory.js';
import { findCheckpoints } from './checkpoint-list.js';
import { checkFinite, encodeState } from './checkpoint-state.js';
import { verifyManifest } from './manifest.js';
import type { CheckpointContent } from './store.js';
import { tensorFiles } from './tensor-files.js';

const AVERAGE_NAME = 'average';

/** Saves a checkpoint as the average of the run whose checkpoints are in `directory`, in place of the one before. Returns its path. */
export async function saveAverage(
  directory: string,
  { step, tensors, state, metric, files = {} }: CheckpointContent & { metric: number; files?: Readonly<Record<string, FileContent>> },
): Promise<string> {
  const path = join(directory, AVERAGE_NAME);
  for (const [group, all] of Object.entries(tensors)) for (const tensor of all) checkFinite(group, tensor); // before the one that is there goes
  if (existsSync(path)) await removeDirectory(path);
  await writeDirectory(path, { ...files, 'state.json': encodeState(step, state), ...tensorFiles(tensors) }, { step, metric });
  return path;
}

/** The paths of the checkpoints that have a metric, the average among them, the lowest first. By their manifests alone. */
export async function rankCheckpoints(directory: string): Promise<string[]> {
  const average = join(directory, AVERAGE_NAME);
  const { metric } = (await verifyManifest(average, 'sizes').catch(() => undefined))?.info ?? {};
  const measured = (await findCheckpoints(directory)).flatMap(({ path, entry }) => (entry && entry.metric !== null ? [{ path, metric: entry.metric }] : []));
  const all = typeof metric === 'number' ? [{ path: average, metric }, ...measured] : measured;
  return all.sort((a, b) => a.metric - b.metric).map(({ path }) => path);
}

/** The first of {@link rankCheckpoints}; undefined when none has a metric. */
export async function findBest(directory: string): Promise<string | undefined> {
  return (await rankCheckpoints(directory))[0];
}
