// Finds a tokenizer by name or path. Not a format: see tokenizer-json.ts and vocabulary-files.ts.
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import type { BytePairTokenizer } from './byte-pair-tokenizer.js';
import { tokenizerFromJson } from './tokenizer-json.js';
import { tokenizerFromVocabulary } from './vocabulary-files.js';

/** A vocabulary of a million tokens has about 60 MB. */
const MAXIMUM_BYTES = 2 ** 28;

/** `gpt2`, a `tokenizer.json`, or a directory that holds one (prepared shards do) or `vocab.json` and `merges.txt`. */
export async function loadTokenizer(nameOrPath: string): Promise<BytePairTokenizer> {
  if (nameOrPath === 'gpt2') return (await importGpt2()).createGpt2Tokenizer();
  try {
    const isDirectory = (await stat(nameOrPath)).isDirectory();
    const path = isDirectory ? join(nameOrPath, 'tokenizer.json') : nameOrPath;
    const [vocab, merges] = [join(nameOrPath, 'vocab.json'), join(nameOrPath, 'merges.txt')];
    if (isDirectory && !existsSync(path) && existsSync(vocab) && existsSync(merges)) {
      return tokenizerFromVocabulary({ vocab: await readLimited(vocab), merges: await readLimited(merges) }, `${vocab} and merges.txt`);
    }
    return tokenizerFromJson(await readLimited(path), path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    throw new XMoEError('data', `no tokenizer at ${nameOrPath}`, {
      op: 'loadTokenizer',
      hint: 'pass gpt2, the path of a tokenizer.json, a directory of prepared shards, or one with vocab.json and merges.txt',
      cause: error,
    });
  }
}

async function readLimited(path: string): Promise<string> {
  if ((await stat(path)).size > MAXIMUM_BYTES) {
    throw new XMoEError('data', `${path} has more than ${MAXIMUM_BYTES / 2 ** 20} MiB, which no tokenizer has`, { op: 'loadTokenizer', hint: 'name a tokenizer.json' });
  }
  return readFile(path, 'utf8');
}

/** The vocabulary is a package of 30 MB, which only those install who use it. */
async function importGpt2() {
  return import('./gpt2.js').catch((cause: unknown) => {
    throw new XMoEError('data', 'the tokenizer gpt2 needs the npm package gpt-tokenizer, which cannot be loaded', {
      op: 'loadTokenizer', hint: 'npm install gpt-tokenizer', cause,
    });
  });
}
