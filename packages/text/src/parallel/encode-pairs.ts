// The last stage: cleaned pairs to token shards, with a table of lengths and kinds, an index with checksums, and the
// tokenizer. It learns nothing and drops only what has too many tokens. Sources are normalised, also of given sets: that is how
// text reaches a model that translates. References stay as they are.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { writeDurably } from '../data/durable-files.js';
import { INDEX_FILE, TOKENIZER_FILE } from '../data/shard-index.js';
import { createShardWriter } from '../data/shard-writer.js';
import { splitNames, type SplitName } from '../data/splits.js';
import { tokenizerToJson } from '../tokenizers/tokenizer-json.js';
import type { BytePairTokenizer } from '../tokenizers/byte-pair-tokenizer.js';
import { pairsFile } from './collect-pairs.js';
import { normaliseText } from './normalise-text.js';
import { LENGTHS_WIDTH } from './open-parallel-dataset.js';
import { readPairFile } from './pair-files.js';
import type { LanguagePair } from './pairs.js';
import { PARALLEL_FORMAT, PARALLEL_FORMAT_VERSION, type LongestPairs, type ParallelIndex, type ParallelSplitIndex } from './parallel-index.js';
import { REPORT_FILE, type PairsReport, type ParallelReport } from './parallel-report.js';
import { translationTokensOf } from './special-tokens.js';

export interface EncodeOptions {
  /** Directory of the first stage. */
  pairsDirectory: string;
  report: PairsReport;
  languages: LanguagePair;
  tokenizer: BytePairTokenizer;
  /** Most tokens of a side in training, end of sentence included. */
  maximumTokens: number;
  onProgress: (pairs: number, of: number) => void;
}

const SHARD_TOKENS = 100_000_000;
const PROGRESS_EVERY = 1000;

/** Fills `directory` with shards, lengths, index.json, tokenizer.json and report.json. */
export async function encodePairs(directory: string, fingerprint: string, options: EncodeOptions): Promise<void> {
  const { languages, tokenizer, maximumTokens, report, onProgress } = options;
  const kinds = [...new Set(splitNames.flatMap((name) => Object.keys(report.splits[name].byKind)))].sort();
  const total = splitNames.reduce((sum, name) => sum + report.splits[name].pairs, 0);
  let done = 0;
  const step = () => {
    if (++done % PROGRESS_EVERY === 0 || done === total) onProgress(done, total);
  };
  const encode = (name: SplitName) => encodeSplit(directory, name, kinds, options, step);
  const encoded = { train: await encode('train'), validation: await encode('validation'), test: await encode('test') };
  const splits = { train: encoded.train.index, validation: encoded.validation.index, test: encoded.test.index };
  if (splits.train.pairs === 0) {
    throw new XMoEError('data', `no pairs to train on: all ${splits.train.tooLong} have more than ${maximumTokens} tokens on a side`, {
      op: 'prepareParallel',
      hint: 'raise maximumTokens',
    });
  }
  const index: ParallelIndex = {
    format: PARALLEL_FORMAT,
    version: PARALLEL_FORMAT_VERSION,
    fingerprint,
    languages,
    dtype: dtypeOf(tokenizer),
    maximumTokens,
    tokenizer: { kind: tokenizer.kind, hash: tokenizer.hash, vocabularySize: tokenizer.vocabularySize },
    kinds,
    splits,
    longest: { validation: encoded.validation.longest, test: encoded.test.longest },
  };
  const tokens = (name: SplitName) => ({ source: splits[name].sourceTokens, target: splits[name].targetTokens });
  const full: ParallelReport = {
    ...report,
    vocabularySize: tokenizer.vocabularySize,
    tooLong: splits.train.tooLong,
    tokens: { train: tokens('train'), validation: tokens('validation'), test: tokens('test') },
  };
  await writeDurably(join(directory, TOKENIZER_FILE), tokenizerToJson(tokenizer));
  await writeDurably(join(directory, REPORT_FILE), `${JSON.stringify(full, null, 2)}\n`);
  await writeDurably(join(directory, INDEX_FILE), `${JSON.stringify(index, null, 2)}\n`);
}

const dtypeOf = (tokenizer: BytePairTokenizer): 'uint16' | 'uint32' => (tokenizer.vocabularySize <= 65_536 ? 'uint16' : 'uint32');

async function encodeSplit(
  directory: string,
  name: SplitName,
  kinds: readonly string[],
  { pairsDirectory, report, tokenizer, maximumTokens }: EncodeOptions,
  step: () => void,
): Promise<{ index: ParallelSplitIndex; longest: LongestPairs }> {
  const { endOfSentence } = translationTokensOf(tokenizer);
  const limit = name === 'train' ? maximumTokens : Infinity;
  const numberOfKind = new Map(kinds.map((kind, number) => [kind, number]));
  const pairsByKind = kinds.map(() => 0);
  const table = Buffer.alloc(report.splits[name].pairs * LENGTHS_WIDTH * 4);
  const writer = createShardWriter({ directory, name, dtype: dtypeOf(tokenizer), shardTokens: SHARD_TOKENS });
  let [pairs, tooLong, sourceTokens, targetTokens] = [0, 0, 0, 0];
  const longest = { source: '', target: '' };
  let [mostSource, mostTarget] = [0, 0];
  try {
    for (const { source, target, kind, place } of readPairFile(join(pairsDirectory, pairsFile(name)))) {
      step();
      const [left, right] = [tokenizer.encode(normaliseText(source)), tokenizer.encode(target)];
      const lengths = [left.length + 1, right.length + 1];
      if (Math.max(...lengths) > limit) {
        tooLong++;
        continue;
      }
      const ids = new Int32Array(lengths[0] + lengths[1]).fill(endOfSentence);
      ids.set(left);
      ids.set(right, lengths[0]);
      await writer.write(ids, Buffer.byteLength(source) + Buffer.byteLength(target));
      if (lengths[0] > mostSource) [mostSource, longest.source] = [lengths[0], place ?? ''];
      if (lengths[1] > mostTarget) [mostTarget, longest.target] = [lengths[1], place ?? ''];
      const number = numberOfKind.get(kind ?? '')!;
      [lengths[0], lengths[1], number].forEach((value, i) => table.writeUInt32LE(value, (pairs * LENGTHS_WIDTH + i) * 4));
      pairsByKind[number]++;
      pairs++;
      sourceTokens += lengths[0];
      targetTokens += lengths[1];
    }
    const bytes = table.subarray(0, pairs * LENGTHS_WIDTH * 4);
    const file = `${name}-lengths.bin`;
    await writeDurably(join(directory, file), bytes);
    const lengths = { file, sha256: createHash('sha256').update(bytes).digest('hex') };
    return { index: { ...(await writer.finish()), pairs, sourceTokens, targetTokens, tooLong, lengths, pairsByKind }, longest };
  } finally {
    await writer.abandon();
  }
}
