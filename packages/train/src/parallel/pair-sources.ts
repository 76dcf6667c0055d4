// Where pairs come from on disk: what the user may name, which files that means, and their fingerprint. Opens no file.
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { compressionOf } from '../data/compressed-bytes.js';
import { fingerprintOf } from '../data/shard-index.js';
import { expandSource, notFound, type FileKinds, type FoundFile } from '../data/source-files.js';

/** `lines`: two files, line by line. The others hold both sides. `json`: an array of rows, or a row per line. */
export type PairFormat = 'lines' | 'tsv' | 'csv' | 'jsonl' | 'json' | 'parquet' | 'tmx';

/** A TSV column from 1, or a name; `a.b` is field b of the object a. */
export type FieldName = string | number;

export interface PairFields {
  readonly source: FieldName;
  readonly target: FieldName;
  readonly kind?: FieldName;
}

export interface PairFileSource {
  /** A file, directory or `name*` pattern; with `target`, the source side of two line-aligned files. */
  readonly path: string;
  /** The target side, line by line. */
  readonly target?: string;
  /** Overrides what the file names say. */
  readonly format?: PairFormat;
  /**
   * Which columns hold what. Default for TSV: 1, 2 and, where there is one, 3, unless the first line names `source` and `target`
   * or the language codes. For CSV, JSON and Parquet: `source`, `target` and `kind`, or the language codes, on their own or
   * inside `translation`. Names for TSV and CSV: the first line holds them; numbers: there is no such line.
   */
  readonly fields?: PairFields;
  /** Kind of the pairs that have no field for it. */
  readonly kind?: string;
}

/** Files with both sides, or two of them. */
export interface PairFile extends FoundFile<PairFormat> {
  readonly target?: FoundFile<'lines'>;
  readonly origin: PairFileSource;
}

export const PAIRS_OP = 'readPairs';

const PAIR_FILES: FileKinds<PairFormat> = {
  formats: { tsv: 'tsv', tab: 'tsv', jsonl: 'jsonl', ndjson: 'jsonl', json: 'json', csv: 'csv', parquet: 'parquet', tmx: 'tmx' },
  fallback: undefined,
  what: 'TSV, CSV, JSON lines, Parquet or TMX',
  op: PAIRS_OP,
};

/** The source behind one word: `path`, or `sourcePath::targetPath` for two line-aligned files. */
export function parsePairSource(text: string): PairFileSource {
  const parts = text.split('::');
  if (parts.length === 1) return { path: text };
  if (parts.length === 2 && parts[0] !== '' && parts[1] !== '') return { path: parts[0], target: parts[1] };
  throw new XMoEError('config', `"${text}" names no pairs`, {
    op: PAIRS_OP,
    hint: 'write path, or sourcePath::targetPath for two line-aligned files',
  });
}

/** The files behind `sources` in the order named. Throws when a source names nothing, or its format is not clear. */
export async function listPairFiles(sources: readonly PairFileSource[]): Promise<PairFile[]> {
  if (sources.length === 0) {
    throw new XMoEError('data', 'no sources', { op: PAIRS_OP, hint: 'name at least one file or directory' });
  }
  const files: PairFile[] = [];
  for (const origin of sources) {
    if (origin.target !== undefined || origin.format === 'lines') files.push(await alignedFiles(origin));
    else files.push(...(await expandSource(origin.path, PAIR_FILES, origin.format)).map((file) => ({ ...file, origin })));
  }
  return files;
}

async function alignedFiles(origin: PairFileSource): Promise<PairFile> {
  const { path, target, format = 'lines' } = origin;
  if (target === undefined || format !== 'lines') {
    const problem = target === undefined ? `${path} has no target file` : `${path} with a target file cannot be ${format}`;
    throw new XMoEError('config', problem, { op: PAIRS_OP, hint: 'two line-aligned files have a path and a target' });
  }
  for (const name of [path, target]) if (!(await stat(name).catch(() => undefined))?.isFile()) notFound(name, PAIRS_OP);
  const describe = (name: string) => ({ path: name, format: 'lines' as const, compression: compressionOf(name) });
  return { ...describe(path), target: describe(target), origin };
}

/** A fingerprint of files by name, size and time of change, and of how they are read (not by content). */
export async function fingerprintPairSources(sources: readonly PairFileSource[]): Promise<string> {
  const parts: Record<string, string> = {};
  for (const [position, { path, target, format, origin }] of (await listPairFiles(sources)).entries()) {
    for (const [side, name] of [path, target?.path].entries()) {
      if (name === undefined) continue;
      const { size, mtimeMs } = await stat(name);
      parts[`${position}.${side} ${basename(name)}`] = `${format} ${size} ${mtimeMs}`;
    }
    parts[`${position} read as`] = JSON.stringify([origin.fields ?? null, origin.kind ?? null]);
  }
  return fingerprintOf(parts);
}
