// A language model as a Hugging Face folder: config.json, model.safetensors, the tokenizer, a model card, and for XMoE the model in
// Python. Appears as a whole or not at all. The state of the optimiser stays out.
import { existsSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { chunksOf, makeTemporary, syncDirectory, syncParent, writeFile, type FileContent } from '@xmoe/files/node';
import { tokenizerToJson, type BytePairTokenizer } from '@xmoe/text';
import type { StoredTensor } from '@xmoe/train';
import { writeSafetensors } from '@xmoe/train/node';
import type { LanguageConfig } from '../language/language-config.js';
import { publishedName } from './match-tensors.js';
import { publishedConfig } from './published-config.js';

export interface PublishedContents {
  readonly model: LanguageConfig['model'];
  readonly moe: LanguageConfig['moe'];
  readonly tokenizer: BytePairTokenizer;
  /** By our names, float32. */
  readonly tensors: readonly StoredTensor[];
  /** README.md. */
  readonly card: string;
  /** What the weights are kept in; float16 rounds them. */
  readonly dtype: 'float32' | 'float16';
}

/** Of float16. */
const LARGEST_HALF = 65_504;

/**
 * Writes `target`, which must not exist.
 * @throws XMoEError `config` where it exists or the model cannot be published, `numerics` for weights that float16 cannot hold, `io`
 */
export async function writeHuggingFaceFolder(target: string, { model, moe, tokenizer, tensors, card, dtype }: PublishedContents): Promise<void> {
  if (existsSync(target)) throw new XMoEError('config', `${target} exists already`, { hint: 'name a folder that does not exist' });
  const { vocabularySize, endOfText } = tokenizer;
  const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;
  const files: Record<string, FileContent> = {
    'config.json': json(publishedConfig({ model, moe }, { vocabularySize, endOfText, dtype })),
    'generation_config.json': json({ bos_token_id: endOfText, eos_token_id: endOfText, pad_token_id: endOfText }),
    'tokenizer.json': tokenizerToJson(tokenizer),
    'tokenizer_config.json': json(tokenizerConfig(tokenizer, model.contextLength)),
    'README.md': card,
    ...(moe ? { 'modeling_xmoe.py': await readFile(createRequire(import.meta.url).resolve('@xmoe/models/modeling_xmoe.py')) } : {}),
  };
  const published = tensors.map((tensor) => publishedTensor(tensor, dtype));
  const temporary = await makeTemporary(target);
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(temporary, name), chunksOf(content));
    await writeSafetensors(join(temporary, 'model.safetensors'), published, { metadata: { format: 'pt' } }); // without it `transformers` takes no file
    await syncDirectory(temporary);
    await rename(temporary, target);
    await syncParent(target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

function publishedTensor({ name, shape, data }: StoredTensor, dtype: PublishedContents['dtype']): StoredTensor {
  if (dtype === 'float16') {
    const index = data.findIndex((value) => Math.abs(value) > LARGEST_HALF);
    if (index >= 0) throw new XMoEError('numerics', `${name} is ${data[index]} at element ${index}, and float16 ends at ${LARGEST_HALF}`, { hint: 'export in float32' });
  }
  return { name: publishedName(name), shape, data, dtype };
}

/** What AutoTokenizer needs beside tokenizer.json. */
function tokenizerConfig({ specialTokens, endOfText }: BytePairTokenizer, contextLength: number): object {
  const name = [...specialTokens].find(([, id]) => id === endOfText)![0];
  return { tokenizer_class: 'PreTrainedTokenizerFast', model_max_length: contextLength, bos_token: name, eos_token: name, unk_token: name, pad_token: name, clean_up_tokenization_spaces: false };
}
