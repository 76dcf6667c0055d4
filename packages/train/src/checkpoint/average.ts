// The mean of the parameters of several checkpoints (Vaswani et al. 2017, section 6.1), as a checkpoint of its own beside
// them. Which ones are averaged, and what metric the mean has, is the program's to say.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { assertTensors } from './assert-tensors.js';
import { removeDirectory, type FileContent } from '@xmoe/files/node';
import { writeDirectory } from './write-directory.js';
import { findCheckpoints } from './checkpoint-list.js';
import { checkFinite, encodeState } from './checkpoint-state.js';
import { verifyManifest } from './manifest.js';
import { safetensorsChunks } from './safetensors.js';
import type { CheckpointContent } from './store.js';
import type { StoredTensor } from './tensor-format.js';

const AVERAGE_NAME = 'average';

/**
 * The mean of equally named tensors, summed in float64. float32 only.
 * @throws XMoEError `checkpoint` unless all have the same tensors
 */
export function averageTensors(all: readonly (readonly StoredTensor[])[]): StoredTensor[] {
  const [first, ...others] = all;
  if (!first) throw new XMoEError('checkpoint', 'there is nothing to average', { op: 'averageTensors', hint: 'pass the tensors of one checkpoint or more' });
  for (const tensors of others) assertTensors(first, tensors, { where: 'a checkpoint to average' });
  const byName = others.map((tensors) => new Map(tensors.map((tensor) => [tensor.name, tensor])));
  return first.map((tensor) => {
    const sum = Float64Array.from(tensor.data);
    for (const tensors of byName) tensors.get(tensor.name)!.data.forEach((value, index) => (sum[index]! += value));
    return { ...tensor, data: Float32Array.from(sum, (value) => value / all.length) };
  });
}

/** Saves a checkpoint as the average of the run whose checkpoints are in `directory`, in place of the one before. Returns its path. */
export async function saveAverage(
  directory: string,
  { step, tensors, state, metric, files = {} }: CheckpointContent & { metric: number; files?: Readonly<Record<string, FileContent>> },
): Promise<string> {
  const path = join(directory, AVERAGE_NAME);
  checkFinite(tensors);
  if (existsSync(path)) await removeDirectory(path);
  const groups = Object.entries(tensors).map(([group, all]) => [`${group}.safetensors`, safetensorsChunks(all, { metadata: { format: 'xmoe', group } })] as const);
  await writeDirectory(path, { ...files, 'state.json': encodeState(step, state), ...Object.fromEntries(groups) }, { step, metric });
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
