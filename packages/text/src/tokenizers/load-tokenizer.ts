// Finds a tokenizer by name or path. Not a format: see tokenizer-json.ts.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import type { BytePairTokenizer } from './byte-pair-tokenizer.js';
import { tokenizerFromJson } from './tokenizer-json.js';

/** A vocabulary of a million tokens has about 60 MB. */
const MAXIMUM_BYTES = 2 ** 28;

/** `gpt2`, a `tokenizer.json`, or a directory that holds one (prepared shards do). */
export async function loadTokenizer(nameOrPath: string): Promise<BytePairTokenizer> {
  if (nameOrPath === 'gpt2') return (await importGpt2()).createGpt2Tokenizer();
  try {
    const isDirectory = (await stat(nameOrPath)).isDirectory();
    const path = isDirectory ? join(nameOrPath, 'tokenizer.json') : nameOrPath;
    if ((await stat(path)).size > MAXIMUM_BYTES) {
      throw new XMoEError('data', `${path} has more than ${MAXIMUM_BYTES / 2 ** 20} MiB, which no tokenizer has`, { op: 'loadTokenizer', hint: 'name a tokenizer.json' });
    }
    return tokenizerFromJson(await readFile(path, 'utf8'), path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    throw new XMoEError('data', `no tokenizer at ${nameOrPath}`, {
      op: 'loadTokenizer',
      hint: 'pass gpt2, the path of a tokenizer.json, or a directory of prepared shards',
      cause: error,
    });
  }
}

/** The vocabulary is a package of 30 MB, which only those install who use it. */
async function importGpt2() {
  return import('./gpt2.js').catch((cause: unknown) => {
    throw new XMoEError('data', 'the tokenizer gpt2 needs the npm package gpt-tokenizer, which cannot be loaded', {
      op: 'loadTokenizer', hint: 'npm install gpt-tokenizer', cause,
    });
  });
}
