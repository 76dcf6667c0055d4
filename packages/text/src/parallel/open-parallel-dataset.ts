// Opens a directory of encoded pairs: the lengths in memory, the tokens read on demand. It does not make batches.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { createPageCache, createSplit, damagedShard, verifyShards, type Verification } from '../data/open-shards.js';
import { splitNames, type SplitName } from '../data/splits.js';
import { loadTokenizer } from '../tokenizers/load-tokenizer.js';
import type { ParallelDataset, ParallelSplit } from './parallel-batch.js';
import { readParallelIndex, type ParallelIndex } from './parallel-index.js';
import { translationTokensOf } from './special-tokens.js';

export interface OpenParallelOptions {
  /** Default `once`. */
  verify?: Verification;
  /** Most bytes of token pages kept. Default 64 MiB. */
  cacheBytes?: number;
}

/** Uint32 values per pair in the file of lengths: source, target, kind. */
export const LENGTHS_WIDTH = 3;

/** Opens and verifies a directory that `prepareParallel` made. Names the file that is missing, cut short or altered. */
export async function openParallelDataset(directory: string, options: OpenParallelOptions = {}): Promise<ParallelDataset> {
  const index = await readParallelIndex(directory);
  await verifyShards(directory, index, options.verify);
  const tokenizer = await loadTokenizer(directory);
  if (tokenizer.hash !== index.tokenizer.hash) {
    throw damagedShard(join(directory, 'tokenizer.json'), 'is not the tokenizer that the pairs were encoded with');
  }
  const tokens = translationTokensOf(tokenizer, directory);
  const lengths = new Map<SplitName, PairTable>();
  for (const name of splitNames) lengths.set(name, await readLengths(directory, index, name));
  const pages = createPageCache(directory, options.cacheBytes);
  const splits = new Map(splitNames.map((name) => [name, openSplit(name, index, lengths.get(name)!, pages.read)]));
  const split = (name: SplitName): ParallelSplit => splits.get(name)!;
  return {
    directory,
    index,
    languages: index.languages,
    tokenizer,
    tokens,
    split,
    text(name, pair) {
      const { source, target } = split(name).read(pair);
      return { source: tokenizer.decode(source.subarray(0, -1)), target: tokenizer.decode(target.subarray(0, -1)) };
    },
    close: pages.close,
  };
}

interface PairTable {
  readonly sourceLengths: Uint32Array;
  readonly targetLengths: Uint32Array;
  readonly kindOf: Uint16Array;
  /** First token of each pair, and the number of tokens at the end. */
  readonly starts: Float64Array;
}

async function readLengths(directory: string, index: ParallelIndex, name: SplitName): Promise<PairTable> {
  const { pairs, tokens, lengths, shards } = index.splits[name];
  const path = join(directory, lengths.file);
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw damagedShard(path, 'is missing', cause);
  });
  const size = pairs * LENGTHS_WIDTH * 4;
  if (bytes.length !== size) throw damagedShard(path, `has ${bytes.length} bytes instead of ${size}`);
  if (createHash('sha256').update(bytes).digest('hex') !== lengths.sha256) {
    throw damagedShard(path, 'was altered: its sha256 is not that of the index');
  }
  const table: PairTable = {
    sourceLengths: new Uint32Array(pairs),
    targetLengths: new Uint32Array(pairs),
    kindOf: new Uint16Array(pairs),
    starts: new Float64Array(pairs + 1),
  };
  for (let pair = 0; pair < pairs; pair++) {
    const at = pair * LENGTHS_WIDTH * 4;
    table.sourceLengths[pair] = bytes.readUInt32LE(at);
    table.targetLengths[pair] = bytes.readUInt32LE(at + 4);
    table.kindOf[pair] = bytes.readUInt32LE(at + 8);
    table.starts[pair + 1] = table.starts[pair] + table.sourceLengths[pair] + table.targetLengths[pair];
  }
  if (table.starts[pairs] === tokens) return table;
  throw damagedShard(path, `counts ${table.starts[pairs]} tokens and ${shards.length} shards hold ${tokens}`);
}

function openSplit(
  name: SplitName,
  index: ParallelIndex,
  { sourceLengths, targetLengths, kindOf, starts }: PairTable,
  readPage: ReturnType<typeof createPageCache>['read'],
): ParallelSplit {
  const all = createSplit(name, index, readPage);
  const { pairs, sourceTokens, targetTokens } = index.splits[name];
  return {
    name,
    pairs,
    sourceTokens,
    targetTokens,
    sourceLengths,
    targetLengths,
    kinds: index.kinds,
    kindOf,
    read(pair) {
      if (!Number.isInteger(pair) || pair < 0 || pair >= pairs) {
        throw new XMoEError('value', `there is no pair ${pair}`, {
          op: `read ${name}`,
          hint: `the split has ${pairs} pairs, numbered from 0`,
        });
      }
      const ids = new Int32Array(starts[pair + 1] - starts[pair]);
      all.read(starts[pair], ids.length, ids);
      return { source: ids.subarray(0, sourceLengths[pair]), target: ids.subarray(sourceLengths[pair]) };
    },
  };
}
