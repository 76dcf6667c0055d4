// Tokenises a corpus once: documents in, a directory of binary shards with an index and the tokenizer out. All or nothing:
// the directory appears when everything is on disk.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { tokenizerToJson } from '../tokenizers/tokenizer-json.js';
import type { BytePairTokenizer } from '../tokenizers/byte-pair-tokenizer.js';
import type { DocumentSource, MalformedRow, MalformedSummary, TextDocument } from './documents.js';
import { createDirectoryAtomically, writeDurably } from './durable-files.js';
import { verifyShards } from './open-shards.js';
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
import { DEFAULT_FRACTIONS, type SplitFractions } from './split-documents.js';
import { splitNames, type HeldOut, type SplitName } from './splits.js';
import { isOneStream, splitStream } from './split-stream.js';

export interface PrepareShardsOptions {
  /** One stream that is split by document, or the splits as published. */
  documents: DocumentSource | Partial<Record<SplitName, DocumentSource>>;
  /** Says which documents these are, before they are read: `fingerprintSources(paths)`, or a package's name and version. */
  sourceFingerprint: string;
  tokenizer: BytePairTokenizer;
  outDirectory: string;
  /** For one stream, and for what `cut` names. Default 0.05 each. */
  split?: SplitFractions;
  /** Splits to cut from the `train` of published ones, by document. */
  cut?: readonly HeldOut[];
  /** Another random split of the same documents. */
  splitSalt?: string;
  /** Most tokens per file. Default 100 M. */
  shardTokens?: number;
  /** Replace shards of another corpus or tokenizer in `outDirectory`. Default false: throw. */
  replace?: boolean;
  /** Asked when all documents are read, before the directory appears: throws when they are no longer those of `sourceFingerprint`. */
  checkSources?: () => Promise<void>;
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
    await options.checkSources?.();
    await writeDurably(join(temporary, TOKENIZER_FILE), tokenizerToJson(tokenizer));
    await writeDurably(join(temporary, INDEX_FILE), `${JSON.stringify(index, null, 2)}\n`);
  };
  try {
    await createDirectoryAtomically(directory, fill, { replace: options.replace });
  } catch (error) {
    // Another process may have made the same meanwhile: its shards are as good.
    const index = options.replace ? undefined : await findExisting(directory, fingerprint, false).catch(() => undefined);
    if (index === undefined) throw error;
    return { directory, index, reused: true };
  }
  return { directory, index: await readShardIndex(directory), reused: false };
}

function fingerprintOptions(options: PrepareShardsOptions, shardTokens: number): string {
  const { validation, test } = options.split ?? DEFAULT_FRACTIONS;
  return fingerprintOf({
    version: SHARD_FORMAT_VERSION,
    source: options.sourceFingerprint,
    tokenizer: options.tokenizer.hash,
    shardTokens,
    splits: isOneStream(options.documents)
      ? `${validation} ${test} ${options.splitSalt ?? ''}`
      : `as given: ${Object.keys(options.documents).sort().join(' ')}${cutText(options, { validation, test })}`,
  });
}

function cutText({ cut = [], splitSalt = '' }: PrepareShardsOptions, fractions: SplitFractions): string {
  return cut.length === 0 ? '' : `, cut: ${cut.map((name) => `${name} ${fractions[name]}`).join(' ')} ${splitSalt}`;
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
      await verifyShards(directory, index);
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
    for await (const { split, document } of splitStream(documents, options)) {
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
      splits: await finishAll(writers, wantedSplits(options)),
      malformed: malformedOf(documents),
    };
  } finally {
    await Promise.all(Object.values(writers).map((writer) => writer.abandon()));
  }
}

async function finishAll(writers: Record<SplitName, ShardWriter>, wanted: readonly SplitName[]): Promise<ShardIndex['splits']> {
  const train = await writers.train.finish();
  if (train.documents === 0) {
    throw new XMoEError('data', 'no documents to train on', {
      op: 'prepareShards',
      hint: 'check the sources; a corpus needs at least one document',
    });
  }
  const splits = { train, validation: await writers.validation.finish(), test: await writers.test.finish() };
  for (const name of wanted) checkSplit(name, splits[name].tokens);
  return splits;
}

/** The splits that somebody asked for. */
function wantedSplits({ documents, cut = [], split = DEFAULT_FRACTIONS }: PrepareShardsOptions): SplitName[] {
  if (!isOneStream(documents)) return [...(Object.keys(documents) as SplitName[]), ...cut];
  return ['train', ...(['validation', 'test'] as const).filter((name) => split[name] > 0)];
}

/** @throws XMoEError `data` for a split with nothing to predict */
export function checkSplit(name: SplitName, tokens: number): void {
  if (tokens >= 2) return;
  throw new XMoEError('data', `the ${name} split has ${tokens} tokens: nothing to predict`, {
    op: 'prepareShards',
    hint: `give more text, or a larger share of it to ${name}${name === 'train' ? '' : '; a share of 0 trains without this split'}`,
  });
}

function tokenizeDocument(tokenizer: BytePairTokenizer, document: TextDocument): Int32Array {
  const ids = encodeDocument(tokenizer, document);
  const tokens = new Int32Array(ids.length + 1);
  tokens.set(ids);
  tokens[ids.length] = tokenizer.endOfText;
  return tokens;
}

function encodeDocument(tokenizer: BytePairTokenizer, { text, source, index, place = `${source}, document ${index + 1}` }: TextDocument): ArrayLike<number> {
  try {
    return tokenizer.encode(text);
  } catch (cause) {
    throw new XMoEError('data', `${place}: a document of ${text.length} characters cannot be tokenised: ${cause instanceof Error ? cause.message : String(cause)}`, {
      op: 'prepareShards',
      hint: 'mend or remove the document',
      cause,
    });
  }
}

function malformedOf(documents: PrepareShardsOptions['documents']): { count: number; first: MalformedRow[] } {
  const sources = isOneStream(documents) ? [documents] : splitNames.map((name) => documents[name]);
  const summaries = sources.map((source) => source?.malformed).filter((item): item is MalformedSummary => item !== undefined);
  return {
    count: summaries.reduce((sum, summary) => sum + summary.count, 0),
    first: summaries.flatMap((summary) => summary.first),
  };
}
