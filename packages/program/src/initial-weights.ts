// Weights that a run begins with instead of random ones (--init-from): what a task makes of them, and what config.json of the run keeps.
// Reads none: what kinds there are, the task says.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import type { JsonObject } from '@xmoe/files';
import type { StoredTensor } from '@xmoe/train';
import { z } from 'zod';

export const initialRecordSchema = z.object({
  /** Path, whole. */
  source: z.string(),
  kind: z.string(),
  /** Of the weights: whether they are still those. */
  fingerprint: z.string(),
});

/** What config.json of a run keeps of the weights that it began with. */
export type InitialRecord = z.output<typeof initialRecordSchema>;

export interface InitialWeights<Config> {
  /** One line: what they are. */
  readonly text: string;
  /** The configuration that flags apply to, from that of the preset. */
  configure(preset: JsonObject): JsonObject;
  record(): Promise<InitialRecord>;
  /** The parameters of a model of `config`, by name. @throws XMoEError naming what of it the weights cannot begin */
  tensors(config: Config): Promise<StoredTensor[]>;
}

export interface InitialChoice {
  /** The user named a preset. */
  readonly presetGiven: boolean;
}

export type ReadInitialWeights<Config> = (source: string, choice: InitialChoice) => Promise<InitialWeights<Config>>;

/**
 * The weights for a run that goes on: those it began with where it was killed before its first checkpoint, else none.
 * @throws XMoEError `config` when the source holds other weights by now
 */
export async function initialAgain<Config>(out: string, record: InitialRecord | undefined, read: ReadInitialWeights<Config> | undefined): Promise<InitialWeights<Config> | undefined> {
  if (!record || !read) return undefined;
  const names = await readdir(join(out, 'checkpoints')).catch(() => []);
  if (names.some((name) => name.startsWith('step-'))) return undefined;
  const initial = await read(record.source, { presetGiven: false });
  if ((await initial.record()).fingerprint === record.fingerprint) return initial;
  throw new XMoEError('config', `${record.source} holds other weights than those that ${out} began with`, { hint: 'begin a new run with them in another --out' });
}
