// Weights of a language model wherever they are: a run, one checkpoint of it, or a Hugging Face folder. What is done with them (training
// goes on, another shape, another format) is not here.
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { isPlainObject, parseJson, type JsonObject } from '@xmoe/files';
import type { BytePairTokenizer } from '@xmoe/text';
import { loadTokenizer } from '@xmoe/text/node';
import { parseConfig, type StoredTensor } from '@xmoe/train';
import { createCheckpointStore, loadRunCheckpoint, readConfigText, readManifest, type LoadedCheckpoint } from '@xmoe/train/node';
import { readHuggingFaceFolder } from '../hugging-face/read-folder.js';
import { languageRunSchema, type LanguageConfig } from '../language/language-config.js';
import { createLanguageModelFromConfig } from '../language/language-model.js';

export type WeightsKind = 'run' | 'checkpoint' | 'hugging-face';

export interface LanguageWeights {
  readonly kind: WeightsKind;
  /** Where the tensors lie: a checkpoint, or the folder. */
  readonly where: string;
  readonly model: LanguageConfig['model'];
  readonly moe: LanguageConfig['moe'];
  /** Of a run, all of its configuration. */
  readonly run: LanguageConfig | undefined;
  readonly tokenizer: BytePairTokenizer;
  /** Parameters by name, float32, those of the model and no others. */
  tensors(): Promise<StoredTensor[]>;
  /** Says whether they are the same weights again: hex digits. */
  fingerprint(): Promise<string>;
}

export interface OpenWeightsOptions {
  /** Of a run: `best`, `latest`, or the name of a checkpoint. Default: best. */
  readonly checkpoint?: string;
  /** Told about damaged checkpoints that are skipped. */
  readonly onWarning: (message: string) => void;
}

const ACCEPTED = 'name a run, a checkpoint in one, or a Hugging Face folder with config.json and model.safetensors';

/** @throws XMoEError that says what is at `path` instead of weights, or what is wrong with them */
export async function openWeights(path: string, { checkpoint = 'best', onWarning }: OpenWeightsOptions): Promise<LanguageWeights> {
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new XMoEError('config', `there are no weights at ${path}`, { hint: `${ACCEPTED}; nothing is fetched from elsewhere` });
  if (!found.isDirectory()) throw new XMoEError('config', `${path} is a file`, { hint: ACCEPTED });
  if (existsSync(join(path, 'manifest.json')) && existsSync(join(path, 'state.json'))) {
    return ofCheckpoint('checkpoint', await createCheckpointStore({ directory: dirname(path) }).load(path), undefined);
  }
  if (!existsSync(join(path, 'config.json'))) throw new XMoEError('config', `${path} holds no weights: config.json is not there`, { hint: ACCEPTED });
  const where = join(path, 'config.json');
  const record = parseJson(await readConfigText(where), { where });
  if (isPlainObject(record) && isPlainObject((record as JsonObject).config)) {
    return ofCheckpoint('run', await loadRunCheckpoint(path, { checkpoint, onWarning }), (record as JsonObject).config);
  }
  const folder = await readHuggingFaceFolder(path);
  const { config, tokenizer } = folder;
  const specs = createLanguageModelFromConfig({ ...config, train: { seed: 0 } }, config.vocabularySize).parameters; // no shape depends on the seed
  return {
    kind: 'hugging-face', where: path, model: config.model, moe: config.moe, run: undefined, tokenizer,
    tensors: () => folder.tensors(specs),
    fingerprint: () => folder.fingerprint(),
  };
}

/** A checkpoint knows its configuration; that of the run may be newer. */
async function ofCheckpoint(kind: WeightsKind, { path, state, tensors }: LoadedCheckpoint, ofRun: unknown): Promise<LanguageWeights> {
  const saved = ofRun ?? (isPlainObject(state.saved) ? state.saved.config : undefined);
  const model = isPlainObject(saved) ? (saved as JsonObject).model : undefined;
  if (isPlainObject(model) && Object.hasOwn(model, 'encoderLayers')) throw new XMoEError('config', `${path} is of a translation model`, { hint: 'a language model begins with the weights of one' });
  const run = parseConfig(languageRunSchema, saved, { where: path });
  return {
    kind, where: path, model: run.model, moe: run.moe, run,
    tokenizer: await loadTokenizer(path),
    tensors: async () => tensors.parameters ?? [],
    fingerprint: async () => (await readManifest(path)).files['parameters.safetensors']!.sha256,
  };
}

