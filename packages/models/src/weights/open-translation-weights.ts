// Weights of a translation model: of a run or of one checkpoint of it. No model of Hugging Face's is one of ours.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { isPlainObject, parseJson } from '@xmoe/files';
import type { BytePairTokenizer } from '@xmoe/text';
import { loadTokenizer } from '@xmoe/text/node';
import { parseConfig, type StoredTensor } from '@xmoe/train';
import { translationRunSchema, type TranslationConfig } from '../translation/translation-config.js';
import { findWeights, isTranslation, type OpenWeightsOptions } from './stored-weights.js';

export interface TranslationWeights {
  readonly kind: 'run' | 'checkpoint';
  /** The checkpoint. */
  readonly where: string;
  readonly run: TranslationConfig;
  readonly tokenizer: BytePairTokenizer;
  /** Parameters by name, float32. */
  readonly tensors: readonly StoredTensor[];
  /** Says whether they are the same weights again: hex digits. */
  fingerprint(): Promise<string>;
}

const ACCEPTED = 'name a run of a translation model, or a checkpoint in one';

/** @throws XMoEError that says what is at `path` instead, or what is wrong with it */
export async function openTranslationWeights(path: string, options: OpenWeightsOptions): Promise<TranslationWeights> {
  const stored = await findWeights(path, ACCEPTED, options);
  if (!stored) {
    throw new XMoEError('config', `${path} is ${await describeFolder(path)}, and a translation model cannot begin with one`, {
      hint: `${ACCEPTED}; of Hugging Face folders, language models take those of GPT-2 (xmoe-lm train --init-from)`,
    });
  }
  const { kind, checkpoint: { path: where, tensors }, config, fingerprint } = stored;
  if (!isTranslation(config)) throw new XMoEError('config', `${where} is of a language model`, { hint: 'a translation model begins with the weights of one' });
  const run = parseConfig(translationRunSchema, config, { where });
  return { kind, where, run, tokenizer: await loadTokenizer(where), tensors: tensors.parameters ?? [], fingerprint };
}

async function describeFolder(path: string): Promise<string> {
  const where = join(path, 'config.json');
  const value = parseJson(await readFile(where, 'utf8'), { where });
  const type = isPlainObject(value) ? value.model_type : undefined;
  return typeof type === 'string' ? `a Hugging Face folder of a ${JSON.stringify(type)} model` : 'no run: its config.json is of something else';
}
