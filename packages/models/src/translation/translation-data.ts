// The `data` section of a translation run's configuration: which pairs, how they are cleaned and held out, which
// vocabulary. The other sections are not here.
import { whole } from '../sections/ranges.js';
import { z } from 'zod';

const positive = whole(1, 1e9);
const count = whole(0, 1e9);

/** A field of a row: a name (JSON, Parquet, CSV, TSV with a header; `a.b` goes into objects) or a TSV column from 1. */
const fieldSchema = z.union([z.string().min(1), positive]);

const pairSourceSchema = z.object({
  /** A file, directory or name with `*`; with `target`, the source side of two line-aligned files or of a test set in SGML. */
  path: z.string().min(1),
  /** The target side, line by line. */
  target: z.string().min(1).optional(),
  /** Overrides the ending of the file name. */
  format: z.enum(['lines', 'tsv', 'csv', 'jsonl', 'json', 'parquet', 'tmx', 'wmt', 'sgm']).optional(),
  /** Which columns hold what. TSV without a header: 1, 2 and, where there is one, 3. Others: `source`, `target` and `kind`, or the language codes. */
  fields: z.object({ source: fieldSchema, target: fieldSchema, kind: fieldSchema.optional() }).optional(),
  /** Kind of all pairs that have no field for it. */
  kind: z.string().optional(),
});

/** `path`, or `sourcePath::targetPath` for two line-aligned files, or an object. */
const filesSchema = z.array(z.union([z.string().min(1), pairSourceSchema])).default([]);

const cleaningSchema = z.object({
  /** Least and most characters of a side. */
  minCharacters: positive.default(1),
  maxCharacters: positive.default(1000),
  /** Most times that one side may be longer than the other, in characters weighted by script. */
  maxLengthRatio: z.number().min(1).max(1e9).default(3),
  /** Drop pairs that repeat an earlier one. */
  removeDuplicates: z.boolean().default(true),
  /** Drop pairs whose source and target are the same. */
  removeCopies: z.boolean().default(true),
  /** Least share of a side's letters in the script of its language; 0 turns the check off. */
  minScriptShare: z.number().min(0).max(1).default(0.3),
  /** n-gram overlap (Jaccard) from which a pair counts as a near-duplicate of a held-out one; 1: equal texts only. */
  nearDuplicate: z.number().gt(0).max(1).default(0.7),
});

export const dataSchema = z.object({
  /** Language codes, for the script check and for TMX and language-pack corpora. */
  sourceLanguage: z.string().default('de'),
  targetLanguage: z.string().default('en'),
  /** Pairs that come with the program, used when `files` is empty. */
  corpus: z.enum(['language-pack']).default('language-pack'),
  files: filesSchema,
  /** Given validation and test sets, taken as they are; where empty, pairs are held out of `files`. */
  validationFiles: filesSchema,
  testFiles: filesSchema,
  /** More sets that training must not see: pairs like theirs are removed. */
  excludeFiles: filesSchema,
  /** Pairs held out where no files are given. */
  validationPairs: count.default(1000),
  testPairs: count.default(1000),
  /** Another random choice of the held-out pairs. */
  splitSalt: z.string().default(''),
  cleaning: cleaningSchema.prefault({}),
  tokenizer: z
    .discriminatedUnion('type', [
      z.object({ type: z.literal('bpe'), vocabularySize: whole(300, 2 ** 24), minFrequency: positive.default(2) }),
      /** A `tokenizer.json` with the three special tokens, or a folder with one. `hash` says that it still is that one; how many tokens, where that is known. */
      z.object({ type: z.literal('file'), path: z.string().min(1), vocabularySize: whole(300, 2 ** 24).optional(), hash: z.string().optional() }),
    ])
    .prefault({ type: 'bpe', vocabularySize: 8000 }),
  /** Most tokens of a side in training, its end of sentence included; longer pairs are dropped and counted. */
  maximumTokens: positive.default(256),
  /** Refuse malformed rows and empty sides instead of counting them. */
  strict: z.boolean().default(false),
  /** Most times its size that a compressed file, or a page of Parquet, may unpack to; 64 MiB always may. */
  maximumExpansion: z.number().min(1).default(256),
});

export type DataConfig = z.output<typeof dataSchema>;
export type PairFiles = DataConfig['files'];
