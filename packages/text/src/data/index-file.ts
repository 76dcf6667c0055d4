// index.json of prepared data, of shards and of encoded pairs alike: read, and held to its schema and its own sums.
import { readFile } from 'node:fs/promises';
import { XMoEError } from '@xmoe/core';
import type { z } from 'zod';

interface IndexedSplit {
  tokens: number;
  shards: readonly { tokens: number }[];
}

export interface IndexKind<Index, Split> {
  readonly schema: z.ZodType<Index>;
  /** Whose error it is. */
  readonly op: string;
  /** What the directory holds, e.g. `shards`. */
  readonly holds: string;
  /** What such data are made from, e.g. `the corpus`. */
  readonly source: string;
  /** Whether a split agrees with itself beyond the sum of its shards. */
  readonly agrees?: (split: Split) => boolean;
}

/** Reads and validates the index at `path` of `directory`. @throws XMoEError `data` when it is missing, damaged or of another version */
export async function readIndexFile<Split extends IndexedSplit, Index extends { splits: Readonly<Record<string, Split>> }>(
  directory: string, path: string, { schema, op, holds, source, agrees = () => true }: IndexKind<Index, Split>,
): Promise<Index> {
  const invalid = (problem: string, cause?: unknown): XMoEError =>
    new XMoEError('data', `${path}: ${problem}`, { op, hint: `the index is damaged or of another version of xmoe: prepare ${source} again`, cause });
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new XMoEError('data', `${path} cannot be read: ${directory} is not a directory of prepared ${holds}`, { op, hint: `prepare ${source} first, or check the path`, cause });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid('not valid JSON', cause);
  }
  const result = schema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw invalid(`${issue.path.join('.') || 'the file'}: ${issue.message}`);
  }
  for (const [name, split] of Object.entries<Split>(result.data.splits)) {
    const sum = split.shards.reduce((tokens, shard) => tokens + shard.tokens, 0);
    if (sum !== split.tokens || !agrees(split)) throw invalid(`splits.${name}: shards hold ${sum} of ${split.tokens} tokens`);
  }
  return result.data;
}
