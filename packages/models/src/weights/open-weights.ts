// Weights of a language model wherever they are: a run, one checkpoint of it, or a Hugging Face folder. What is done with them (training
// goes on, another shape, another format) is not here.
import { XMoEError } from '@xmoe/core';
import type { BytePairTokenizer } from '@xmoe/text';
import { loadTokenizer } from '@xmoe/text/node';
import { parseConfig, type StoredTensor } from '@xmoe/train';
import { readHuggingFaceFolder } from '../hugging-face/read-folder.js';
import { languageRunSchema, type LanguageConfig } from '../language/language-config.js';
import { createLanguageModelFromConfig } from '../language/language-model.js';
import { findWeights, isTranslation, type OpenWeightsOptions, type StoredWeights } from './stored-weights.js';

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

const ACCEPTED = 'name a run, a checkpoint in one, or a Hugging Face folder with config.json and model.safetensors';

/** @throws XMoEError that says what is at `path` instead of weights, or what is wrong with them */
export async function openWeights(path: string, options: OpenWeightsOptions): Promise<LanguageWeights> {
  const stored = await findWeights(path, ACCEPTED, options);
  if (stored) return ofCheckpoint(stored);
  const folder = await readHuggingFaceFolder(path);
  const { config, tokenizer } = folder;
  const specs = createLanguageModelFromConfig({ ...config, train: { seed: 0 } }, config.vocabularySize).parameters; // no shape depends on the seed
  return {
    kind: 'hugging-face', where: path, model: config.model, moe: config.moe, run: undefined, tokenizer,
    tensors: () => folder.tensors(specs),
    fingerprint: () => folder.fingerprint(),
  };
}

async function ofCheckpoint({ kind, checkpoint: { path, tensors }, config, fingerprint }: StoredWeights): Promise<LanguageWeights> {
  if (isTranslation(config)) throw new XMoEError('config', `${path} is of a translation model`, { hint: 'a language model begins with the weights of one' });
  const run = parseConfig(languageRunSchema, config, { where: path });
  return { kind, where: path, model: run.model, moe: run.moe, run, tokenizer: await loadTokenizer(path), tensors: async () => tensors.parameters ?? [], fingerprint };
}
