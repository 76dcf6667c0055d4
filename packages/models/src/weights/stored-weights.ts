// What lies at a path that weights are to come from: a run, a checkpoint, or a Hugging Face folder. What is in it is read by the openers of
// language models and of translation models.
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { isPlainObject, parseJson, type JsonObject } from '@xmoe/files';
import { createCheckpointStore, loadRunCheckpoint, readConfigText, readManifest, type LoadedCheckpoint } from '@xmoe/train/node';

export interface OpenWeightsOptions {
  /** Of a run: `best`, `latest`, or the name of a checkpoint. Default: best. */
  readonly checkpoint?: string;
  /** Told about damaged checkpoints that are skipped. */
  readonly onWarning: (message: string) => void;
}

export interface StoredWeights {
  readonly kind: 'run' | 'checkpoint';
  readonly checkpoint: LoadedCheckpoint;
  /** The configuration of the run, newer than what the checkpoint knows; that of the checkpoint where there is no run around it. Not checked yet. */
  readonly config: unknown;
  /** Says whether they are the same weights again: hex digits. */
  fingerprint(): Promise<string>;
}

/**
 * Finds what is at `path`. `accepted` says what may be there. Undefined: a folder with a config.json that is not that of a run, as Hugging Face's are.
 * @throws XMoEError that says what is there instead
 */
export async function findWeights(path: string, accepted: string, { checkpoint = 'best', onWarning }: OpenWeightsOptions): Promise<StoredWeights | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new XMoEError('config', `there are no weights at ${path}`, { hint: `${accepted}; nothing is fetched from elsewhere` });
  if (!found.isDirectory()) throw new XMoEError('config', `${path} is a file`, { hint: accepted });
  if (existsSync(join(path, 'manifest.json')) && existsSync(join(path, 'state.json'))) {
    const loaded = await createCheckpointStore({ directory: dirname(path) }).load(path);
    const { saved } = loaded.state;
    return storedAs('checkpoint', loaded, isPlainObject(saved) ? saved.config : undefined);
  }
  if (!existsSync(join(path, 'config.json'))) throw new XMoEError('config', `${path} holds no weights: config.json is not there`, { hint: accepted });
  const where = join(path, 'config.json');
  const record = parseJson(await readConfigText(where), { where });
  if (!isPlainObject(record) || !isPlainObject((record as JsonObject).config)) return undefined;
  return storedAs('run', await loadRunCheckpoint(path, { checkpoint, onWarning }), (record as JsonObject).config);
}

function storedAs(kind: StoredWeights['kind'], checkpoint: LoadedCheckpoint, config: unknown): StoredWeights {
  return { kind, checkpoint, config, fingerprint: async () => (await readManifest(checkpoint.path)).files['parameters.safetensors']!.sha256 };
}

/** Whether a configuration is that of a translation model. */
export function isTranslation(config: unknown): boolean {
  const model = isPlainObject(config) ? (config as JsonObject).model : undefined;
  return isPlainObject(model) && Object.hasOwn(model, 'encoderLayers');
}
