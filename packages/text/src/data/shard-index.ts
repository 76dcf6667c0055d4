// The index.json of a directory of shards: its shape, its validation, and the fingerprint that says whether prepared data
// still fit. It does not touch the shards themselves.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { z } from 'zod';
import { openContentRecord } from './content-record.js';
import { readIndexFile } from './index-file.js';
import { listSourceFiles, type SourceFormat } from './source-files.js';

export const INDEX_FILE = 'index.json';
export const TOKENIZER_FILE = 'tokenizer.json';
export const SHARD_FORMAT = 'xmoe-shards';
export const SHARD_FORMAT_VERSION = 1;

const count = z.int().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const shardSchema = z.object({
  /** File name within the directory. */
  file: z.string().regex(/^[\w-]+\.bin$/),
  tokens: count,
  /** Documents that begin in this shard. */
  documents: count,
  sha256,
});
export const splitSchema = z.object({
  tokens: count,
  documents: count,
  /** UTF-8 bytes of the documents' texts; the end-of-text tokens count as none. For bits per byte. */
  bytes: count,
  shards: z.array(shardSchema),
});
const indexSchema = z.object({
  format: z.literal(SHARD_FORMAT),
  version: z.literal(SHARD_FORMAT_VERSION),
  /** Of sources, tokenizer and options together: equal fingerprints mean equal shards. */
  fingerprint: sha256,
  source: z.string(),
  dtype: z.enum(['uint16', 'uint32']),
  tokenizer: z.object({ kind: z.string(), hash: sha256, vocabularySize: count, endOfText: count }),
  splits: z.object({ train: splitSchema, validation: splitSchema, test: splitSchema }),
  malformed: z.object({ count, first: z.array(z.object({ place: z.string(), reason: z.string() })) }),
});

export type ShardIndex = z.infer<typeof indexSchema>;
export type SplitIndex = z.infer<typeof splitSchema>;
export type ShardEntry = z.infer<typeof shardSchema>;

/** Bytes per token on disk. */
export const bytesPerToken = (index: Pick<ShardIndex, 'dtype'>): 2 | 4 => (index.dtype === 'uint16' ? 2 : 4);

/**
 * What prepared data hold, as a sha256: the tokens of each split in their order, and the tokenizer. Not where they lie, nor what
 * they were made from. Takes the index of shards and that of encoded pairs.
 */
export function dataFingerprint({ dtype, tokenizer, splits }: { dtype: string; tokenizer: { hash: string }; splits: object }): string {
  return fingerprintOf({ dtype, tokenizer: tokenizer.hash, splits: JSON.stringify(splits) });
}

/** Reads and validates `directory/index.json`. Throws when it is missing, damaged or of another version. */
export const readShardIndex = (directory: string): Promise<ShardIndex> =>
  readIndexFile(directory, join(directory, INDEX_FILE), { schema: indexSchema, op: 'openShards', holds: 'shards', source: 'the corpus' });

/** sha256 over named parts, insensitive to nothing: every part counts. */
export function fingerprintOf(parts: Readonly<Record<string, string | number>>): string {
  return createHash('sha256').update(JSON.stringify(Object.entries(parts).sort())).digest('hex');
}

/** Files from this size on are not read again for their fingerprint as long as they have not changed. */
const REMEMBERED_BYTES = 1 << 24;

/**
 * A fingerprint of files by what they hold, in their order, whatever they are called. Accepts what `readDocuments` accepts. It costs a
 * pass over them; `record` names a file where the sha256 of large ones are remembered.
 */
export async function fingerprintSources(sources: string | readonly string[], format?: SourceFormat, record?: string): Promise<string> {
  const files = await listSourceFiles(typeof sources === 'string' ? [sources] : sources, format);
  return fingerprintFiles(files.map(({ path, format: read }) => ({ path, as: read })), record);
}

/** The same of listed files, each with what else decides how it is read. */
export async function fingerprintFiles(files: readonly { path: string; as: string }[], record?: string): Promise<string> {
  const contents = await openContentRecord(record, { fromBytes: REMEMBERED_BYTES });
  const parts: Record<string, string> = {};
  for (const [position, { path, as }] of files.entries()) parts[position] = `${as} ${(await contents.contentOf(path)).sha256}`;
  await contents.save();
  return fingerprintOf(parts);
}

/**
 * {@link fingerprintFiles}, and a check for when the files have been read: `check` throws when they are no longer what they were.
 */
export async function watchFiles(files: readonly { path: string; as: string }[], record?: string): Promise<{ fingerprint: string; check: () => Promise<void> }> {
  const fingerprint = await fingerprintFiles(files, record);
  return {
    fingerprint,
    async check() {
      if ((await fingerprintFiles(files, record)) === fingerprint) return;
      throw new XMoEError('data', `${files.map(({ path }) => path).slice(0, 3).join(', ')}${files.length > 3 ? ', …' : ''} changed while being read`, {
        op: 'prepareShards',
        hint: 'run again when nothing writes to the corpus any more',
      });
    },
  };
}
