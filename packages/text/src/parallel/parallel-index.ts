// The index.json of a directory of encoded pairs: its shape and its validation. It does not touch the shards themselves.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { z } from 'zod';
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
export async function readParallelIndex(directory: string): Promise<ParallelIndex> {
  const path = join(directory, INDEX_FILE);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new XMoEError('data', `${path} cannot be read: ${directory} is not a directory of prepared pairs`, {
      op: 'openParallelDataset',
      hint: 'prepare the parallel text first, or check the path',
      cause,
    });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalidIndex(path, 'not valid JSON', cause);
  }
  const result = indexSchema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw invalidIndex(path, `${issue.path.join('.') || 'the file'}: ${issue.message}`);
  }
  for (const [name, split] of Object.entries(result.data.splits)) {
    const sum = split.shards.reduce((tokens, shard) => tokens + shard.tokens, 0);
    if (sum !== split.tokens || split.sourceTokens + split.targetTokens !== sum) {
      throw invalidIndex(path, `splits.${name}: shards hold ${sum} of ${split.tokens} tokens`);
    }
  }
  return result.data;
}

function invalidIndex(path: string, problem: string, cause?: unknown): XMoEError {
  return new XMoEError('data', `${path}: ${problem}`, {
    op: 'openParallelDataset',
    hint: 'the index is damaged or of another version of xmoe: prepare the parallel text again',
    cause,
  });
}
