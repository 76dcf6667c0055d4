// The mean of the parameters of several checkpoints (Vaswani et al. 2017, section 6.1), as a checkpoint of its own beside
// them. Which ones are averaged, and what metric the mean has, is the program's to say.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { assertTensors } from './assert-tensors.js';
import { removeDirectory, writeDirectory, type FileContent } from './atomic.js';
import { checkFinite, encodeState } from './checkpoint-state.js';
import { readManifest } from './manifest.js';
import { safetensorsChunks } from './safetensors.js';
import { readBestPointer, type CheckpointContent } from './store.js';
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

/** The path of the checkpoint with the lowest metric, the average among them; undefined when none has one. */
export async function findBest(directory: string): Promise<string | undefined> {
  const paths = [await readBestPointer(directory), join(directory, AVERAGE_NAME)].filter((path) => path !== undefined && existsSync(path)) as string[];
  const found = await Promise.all(paths.map(async (path) => ({ path, metric: (await readManifest(path)).info.metric })));
  const measured = found.filter((entry): entry is { path: string; metric: number } => typeof entry.metric === 'number');
  return measured.sort((a, b) => a.metric - b.metric)[0]?.path;
}
