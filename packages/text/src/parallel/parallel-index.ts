// The index.json of a directory of encoded pairs: its shape and its validation. It does not touch the shards themselves.
import { join } from 'node:path';
import { z } from 'zod';
import { readIndexFile } from '../data/index-file.js';
import { INDEX_FILE, splitSchema } from '../data/shard-index.js';

export const PARALLEL_FORMAT = 'xmoe-parallel-shards';
export const PARALLEL_FORMAT_VERSION = 1;

const count = z.int().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const parallelSplitSchema = splitSchema.extend({
  pairs: count,
  sourceTokens: count,
  targetTokens: count,
  /** Pairs left out because a side has more tokens than the limit. */
  tooLong: count,
  /** File of (source length, target length, kind) per pair, uint32 little-endian. */
  lengths: z.object({ file: z.string().regex(/^[\w-]+\.bin$/), sha256 }),
  /** Pairs of each kind, by position in `kinds`. */
  pairsByKind: z.array(count),
});

/** Where the pair with the longest source and that with the longest target were read. */
const longestSchema = z.object({ source: z.string(), target: z.string() });

const indexSchema = z.object({
  format: z.literal(PARALLEL_FORMAT),
  version: z.literal(PARALLEL_FORMAT_VERSION),
  /** Of pairs, tokenizer and options together: equal fingerprints mean equal shards. */
  fingerprint: sha256,
  languages: z.object({ source: z.string(), target: z.string() }),
  dtype: z.enum(['uint16', 'uint32']),
  /** Most tokens of a side in the training split, end of sentence included. */
  maximumTokens: count,
  tokenizer: z.object({ kind: z.string(), hash: sha256, vocabularySize: count }),
  kinds: z.array(z.string()),
  splits: z.object({ train: parallelSplitSchema, validation: parallelSplitSchema, test: parallelSplitSchema }),
  /** For messages about pairs that a model cannot take. Absent from data of earlier versions. */
  longest: z.object({ validation: longestSchema, test: longestSchema }).optional(),
});

export type ParallelIndex = z.infer<typeof indexSchema>;
export type ParallelSplitIndex = z.infer<typeof parallelSplitSchema>;
export type LongestPairs = z.infer<typeof longestSchema>;

/** Reads and validates `directory/index.json`. Throws when it is missing, damaged or of another version. */
export const readParallelIndex = (directory: string): Promise<ParallelIndex> =>
  readIndexFile<ParallelSplitIndex, ParallelIndex>(directory, join(directory, INDEX_FILE), {
    schema: indexSchema, op: 'openParallelDataset', holds: 'pairs', source: 'the parallel text',
    agrees: ({ sourceTokens, targetTokens, tokens }) => sourceTokens + targetTokens === tokens,
  });
