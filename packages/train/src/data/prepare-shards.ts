// Tokenises a corpus once: documents in, a directory of binary shards with an index and the tokenizer out. All or nothing:
// the directory appears when everything is on disk.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { tokenizerToJson, type BytePairTokenizer } from '../tokenizers/index.js';
import type { DocumentSource, MalformedRow, MalformedSummary, TextDocument } from './documents.js';
import { createDirectoryAtomically, writeDurably } from './durable-files.js';
import { checkShardSizes } from './open-shards.js';
import {
  fingerprintOf,
  INDEX_FILE,
  readShardIndex,
  SHARD_FORMAT,
  SHARD_FORMAT_VERSION,
  TOKENIZER_FILE,
  type ShardIndex,
} from './shard-index.js';
import { createShardWriter, type ShardWriter } from './shard-writer.js';
import { createSplitter, splitNames, type SplitFractions, type SplitName } from './split-documents.js';

export interface PrepareShardsOptions {
  /** One stream that is split by document, or the splits as published. */
  documents: DocumentSource | Partial<Record<SplitName, DocumentSource>>;
  /** Says which documents these are, before they are read: `fingerprintSources(paths)`, or a package's name and version. */
  sourceFingerprint: string;
  tokenizer: BytePairTokenizer;
  outDirectory: string;
  /** For one stream. Default 0.05 each. */
  split?: SplitFractions;
  /** Another random split of the same documents. */
  splitSalt?: string;
  /** Most tokens per file. Default 100 M. */
  shardTokens?: number;
  /** Replace shards of another corpus or tokenizer in `outDirectory`. Default false: throw. */
  replace?: boolean;
  /** Told after every document. */
  onProgress?: (progress: PrepareProgress) => void;
}

export interface PrepareProgress {
  readonly documents: number;
  readonly tokens: number;
  /** UTF-8 bytes of text. */
  readonly bytes: number;
}

export interface PreparedShards {
  readonly directory: string;
  readonly index: ShardIndex;
  /** The directory was there already, with the same fingerprint. */
  readonly reused: boolean;
}

const DEFAULT_SPLIT: SplitFractions = { validation: 0.05, test: 0.05 };
const DEFAULT_SHARD_TOKENS = 100_000_000;

/**
 * Makes `outDirectory` with `index.json`, `tokenizer.json` and little-endian shards, uint16 up to 65,536 token ids and
 * uint32 above; each document is followed by the end-of-text token. Returns what is there when the fingerprint is the
 * same; throws when the directory holds anything else.
 */
export async function prepareShards(options: PrepareShardsOptions): Promise<PreparedShards> {
  const { outDirectory: directory, tokenizer } = options;
  const shardTokens = options.shardTokens ?? DEFAULT_SHARD_TOKENS;
  if (!Number.isInteger(shardTokens) || shardTokens < 1 || shardTokens > 2 ** 29) {
    throw new XMoEError('value', `shardTokens is ${shardTokens}`, {
      op: 'prepareShards',
      hint: 'pass an integer from 1 to 536,870,912, so that a shard stays below 2 GiB',
    });
  }
  const fingerprint = fingerprintOptions(options, shardTokens);
  const existing = await findExisting(directory, fingerprint, options.replace ?? false);
  if (existing !== undefined) return { directory, index: existing, reused: true };

  const fill = async (temporary: string) => {
    const index = await writeShards(options, temporary, fingerprint, shardTokens);
    await writeDurably(join(temporary, TOKENIZER_FILE), tokenizerToJson(tokenizer));
    await writeDurably(join(temporary, INDEX_FILE), `${JSON.stringify(index, null, 2)}\n`);
  };
  await createDirectoryAtomically(directory, fill, { replace: options.replace });
  return { directory, index: await readShardIndex(directory), reused: false };
}

function fingerprintOptions(options: PrepareShardsOptions, shardTokens: number): string {
  const { validation, test } = options.split ?? DEFAULT_SPLIT;
  return fingerprintOf({
    version: SHARD_FORMAT_VERSION,
    source: options.sourceFingerprint,
    tokenizer: options.tokenizer.hash,
    shardTokens,
    splits: isOneStream(options.documents)
      ? `${validation} ${test} ${options.splitSalt ?? ''}`
      : `as given: ${Object.keys(options.documents).sort().join(' ')}`,
  });
}

/** The index of shards that can be used as they are; undefined when they must be made. */
async function findExisting(directory: string, fingerprint: string, replace: boolean): Promise<ShardIndex | undefined> {
  const names = await readdir(directory).catch(() => undefined);
  if (names === undefined || names.length === 0) return undefined;
  const refuse = (what: string, hint: string, cause?: unknown) =>
    new XMoEError('data', `${directory} ${what}`, { op: 'prepareShards', hint, cause });
  if (!names.includes(INDEX_FILE)) {
    throw refuse('is not empty and holds no shards', 'choose a new or an empty directory');
  }
  try {
    const index = await readShardIndex(directory);
    if (index.fingerprint === fingerprint) {
      await checkShardSizes(directory, index);
      return index;
    }
  } catch (cause) {
    if (replace) return undefined;
    throw refuse(
      `holds damaged shards: ${cause instanceof Error ? cause.message : String(cause)}`,
      'replace them (replace: true), or remove the directory',
      cause,
    );
  }
  if (replace) return undefined;
  throw refuse(
    'holds shards of another corpus, tokenizer or split',
    'choose another directory, or replace them (replace: true)',
  );
}

async function writeShards(
  options: PrepareShardsOptions,
  directory: string,
  fingerprint: string,
  shardTokens: number,
): Promise<ShardIndex> {
  const { tokenizer, documents, onProgress } = options;
  const dtype = tokenizer.vocabularySize <= 65_536 ? 'uint16' : 'uint32';
  const makeWriter = (name: SplitName) => createShardWriter({ directory, name, dtype, shardTokens });
  const writers = { train: makeWriter('train'), validation: makeWriter('validation'), test: makeWriter('test') };
  const progress = { documents: 0, tokens: 0, bytes: 0 };
  try {
    for await (const { split, document } of splitStream(options)) {
      const tokens = tokenizeDocument(tokenizer, document);
      const bytes = Buffer.byteLength(document.text);
      await writers[split].write(tokens, bytes);
      progress.documents++;
      progress.tokens += tokens.length;
      progress.bytes += bytes;
      onProgress?.({ ...progress });
    }
    return {
      format: SHARD_FORMAT,
      version: SHARD_FORMAT_VERSION,
      fingerprint,
      source: options.sourceFingerprint,
      dtype,
      tokenizer: {
        kind: tokenizer.kind,
        hash: tokenizer.hash,
        vocabularySize: tokenizer.vocabularySize,
        endOfText: tokenizer.endOfText,
      },
      splits: await finishAll(writers),
      malformed: malformedOf(documents),
    };
  } finally {
    await Promise.all(Object.values(writers).map((writer) => writer.abandon()));
  }
}

async function finishAll(writers: Record<SplitName, ShardWriter>): Promise<ShardIndex['splits']> {
  const train = await writers.train.finish();
  if (train.documents === 0) {
    throw new XMoEError('data', 'no documents to train on', {
      op: 'prepareShards',
      hint: 'check the sources; a corpus needs at least one document',
    });
  }
  return { train, validation: await writers.validation.finish(), test: await writers.test.finish() };
}

function tokenizeDocument(tokenizer: BytePairTokenizer, document: TextDocument): Int32Array {
  const ids = tokenizer.encode(document.text);
  const tokens = new Int32Array(ids.length + 1);
  tokens.set(ids);
  tokens[ids.length] = tokenizer.endOfText;
  return tokens;
}

async function* splitStream({ documents, split, splitSalt }: PrepareShardsOptions) {
  if (!isOneStream(documents)) {
    for (const name of splitNames) for await (const document of documents[name] ?? []) yield { split: name, document };
    return;
  }
  const splitter = createSplitter(split ?? DEFAULT_SPLIT, splitSalt);
  for await (const document of documents) yield* splitter.push(document);
  yield* splitter.finish();
}

function isOneStream(documents: PrepareShardsOptions['documents']): documents is DocumentSource {
  return Symbol.asyncIterator in documents || Symbol.iterator in documents;
}

function malformedOf(documents: PrepareShardsOptions['documents']): { count: number; first: MalformedRow[] } {
  const sources = isOneStream(documents) ? [documents] : splitNames.map((name) => documents[name]);
  const summaries = sources.map((source) => source?.malformed).filter((item): item is MalformedSummary => item !== undefined);
  return {
    count: summaries.reduce((sum, summary) => sum + summary.count, 0),
    first: summaries.flatMap((summary) => summary.first),
  };
}
