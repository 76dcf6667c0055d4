// A Hugging Face folder as it lies on the disk: config.json, safetensors in one file or in shards, the tokenizer in either form. All is
// checked by headers before a weight is read. Nothing is fetched, and nothing that can run code (pickle) is opened.
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError, type ParameterSpec } from '@xmoe/core';
import { isPlainObject, parseJson } from '@xmoe/files';
import { hashFile } from '@xmoe/files/node';
import type { BytePairTokenizer } from '@xmoe/text';
import { loadTokenizer } from '@xmoe/text/node';
import type { StoredTensor } from '@xmoe/train';
import { readConfigText, readSafetensors, readSafetensorsHeader } from '@xmoe/train/node';
import { matchTensors, type FoundTensor, type MatchedTensors } from './match-tensors.js';
import { readPublishedConfig, type PublishedModel } from './published-config.js';

export interface HuggingFaceFolder {
  readonly config: PublishedModel;
  readonly tokenizer: BytePairTokenizer;
  /** The parameters by our names, float32. `specs` are those of the model. Half precision is widened, which changes no value. */
  tensors(specs: readonly ParameterSpec[]): Promise<StoredTensor[]>;
  /** sha256 over the files of weights. */
  fingerprint(): Promise<string>;
}

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
/** A map of names has some hundred bytes for each of some thousand tensors. */
const LARGEST_INDEX = 2 ** 26;

/** @throws XMoEError `config`, `checkpoint` or `data` naming the file and what is wrong with it */
export async function readHuggingFaceFolder(directory: string): Promise<HuggingFaceFolder> {
  const where = join(directory, 'config.json');
  const config = readPublishedConfig(await readConfigText(where), where);
  const files = await weightFiles(directory);
  const tokenizer = await loadTokenizer(directory);
  if (tokenizer.vocabularySize !== config.vocabularySize) {
    throw new XMoEError('data', `the tokenizer in ${directory} has ${tokenizer.vocabularySize} tokens, and the model ${config.vocabularySize} (vocab_size)`, {
      hint: 'bring the tokenizer of these weights, or resize the embedding to it: model.resize_token_embeddings(len(tokenizer)) of transformers',
    });
  }
  const { tiedEmbeddings: tied } = config.model;
  return {
    config, tokenizer,
    async tensors(specs) {
      const matched = matchTensors(specs, await foundTensors(directory, files), { tied, where: directory });
      return readMatched(directory, [...files.keys()], matched);
    },
    async fingerprint() {
      const hashes = [];
      for (const file of files.keys()) hashes.push((await hashFile(join(directory, file))).sha256);
      return hashes.join(' ');
    },
  };
}

/** Files by name, with the tensors that an index says are in them; null: the file says it itself. */
async function weightFiles(directory: string): Promise<Map<string, ReadonlySet<string> | null>> {
  if (existsSync(join(directory, WEIGHTS))) return new Map([[WEIGHTS, null]]);
  if (existsSync(join(directory, INDEX))) return readIndex(directory);
  const names = await readdir(directory);
  const pickled = names.find((name) => /\.(bin|pt|pth|ckpt|pkl)$/.test(name));
  const other = names.find((name) => /\.(h5|msgpack|gguf|onnx|safetensors)$/.test(name));
  if (pickled !== undefined) {
    throw new XMoEError('checkpoint', `${join(directory, pickled)} is a pickle, which can run code when it is opened`, {
      hint: `save the model as ${WEIGHTS}: AutoModelForCausalLM.from_pretrained(PATH).save_pretrained(OTHER) of transformers`,
    });
  }
  throw new XMoEError('checkpoint', `${directory} has no ${WEIGHTS}${other === undefined ? '' : `, only ${other}`}`, { hint: `weights are read from ${WEIGHTS}, or from the files that ${INDEX} names` });
}

async function readIndex(directory: string): Promise<Map<string, ReadonlySet<string>>> {
  const where = join(directory, INDEX);
  if ((await stat(where)).size > LARGEST_INDEX) throw new XMoEError('checkpoint', `${where} has more than ${LARGEST_INDEX} bytes, which no index has`);
  const value = parseJson(await readFile(where, 'utf8'), { where, code: 'checkpoint' });
  const map = isPlainObject(value) ? value.weight_map : undefined;
  if (!isPlainObject(map) || Object.keys(map).length === 0) throw new XMoEError('checkpoint', `${where} has no weight_map`, { hint: 'copy the file again' });
  const files = new Map<string, Set<string>>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !/^[\w-][\w.-]*\.safetensors$/.test(file)) {
      throw new XMoEError('checkpoint', `${where} says that ${tensor} is in ${JSON.stringify(file)}, which is no safetensors file of this folder`, { hint: 'an index names files beside it' });
    }
    files.set(file, (files.get(file) ?? new Set()).add(tensor));
  }
  for (const file of files.keys()) {
    if (!existsSync(join(directory, file))) throw new XMoEError('checkpoint', `${where} names ${file}, which is not there`, { hint: 'copy all files of the folder' });
  }
  return files;
}

/** All tensors by the headers of the files. What an index says must be so. */
async function foundTensors(directory: string, files: ReadonlyMap<string, ReadonlySet<string> | null>): Promise<FoundTensor[]> {
  const found: FoundTensor[] = [];
  for (const [file, named] of files) {
    const path = join(directory, file);
    const { entries } = await readSafetensorsHeader(path);
    const names = new Set(entries.map(({ name }) => name));
    const lacks = [...(named ?? [])].find((name) => !names.has(name));
    const extra = named && [...names].find((name) => !named.has(name));
    if (lacks !== undefined) throw new XMoEError('checkpoint', `${path} lacks ${lacks}, which ${INDEX} says is there`, { hint: 'copy all files of the folder again' });
    if (extra) throw new XMoEError('checkpoint', `${path} holds ${extra}, which ${INDEX} does not name`, { hint: 'copy all files of the folder again' });
    found.push(...entries);
  }
  return found;
}

async function readMatched(directory: string, files: readonly string[], { names, tiedCopy }: MatchedTensors): Promise<StoredTensor[]> {
  const ours = new Map([...names].map(([name, theirs]) => [theirs, name]));
  const tensors: StoredTensor[] = [];
  let copy: StoredTensor | undefined;
  for (const file of files) {
    const path = join(directory, file);
    const read = await readSafetensors(path, { only: (name) => ours.has(name) || name === tiedCopy });
    for (const tensor of read.tensors) {
      refuseNotFinite(tensor, path);
      if (tensor.name === tiedCopy) copy = tensor;
      else tensors.push({ ...tensor, name: ours.get(tensor.name)!, dtype: 'float32' });
    }
  }
  const embedding = tensors.find(({ name }) => name === 'wte.weight');
  if (copy && !(copy.data.length === embedding?.data.length && copy.data.every((value, index) => value === embedding.data[index]))) {
    throw new XMoEError('checkpoint', `${directory}: ${copy.name} differs from the token embedding, and tie_word_embeddings says that they are one`, {
      hint: 'set tie_word_embeddings to false in config.json if the projection is its own, or leave it out',
    });
  }
  return tensors;
}

function refuseNotFinite({ name, data }: StoredTensor, path: string): void {
  const index = data.findIndex((value) => !Number.isFinite(value));
  if (index >= 0) throw new XMoEError('checkpoint', `${path}: ${name} is ${data[index]} at element ${index}`, { hint: 'weights that are not finite cannot be used: take an earlier checkpoint' });
}
