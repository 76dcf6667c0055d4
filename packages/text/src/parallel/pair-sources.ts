// Where pairs come from on disk: what the user may name, which files that means, and their fingerprint. Reads no pairs.
import { stat } from 'node:fs/promises';
import { XMoEError } from '@xmoe/core';
import { compressionOf, withoutCompression } from '../data/compressed-bytes.js';
import { fingerprintFiles } from '../data/shard-index.js';
import { expandSource, notFound, type FileKinds, type FoundFile } from '../data/source-files.js';

/**
 * `lines`: two files, line by line; `sgm`: a WMT test set in two files. The others hold both sides; `json`: an array of rows, or a
 * row per line; `wmt`: a WMT test set in XML.
 */
export type PairFormat = 'lines' | 'sgm' | 'tsv' | 'csv' | 'jsonl' | 'json' | 'parquet' | 'tmx' | 'wmt';

/** A TSV column from 1, or a name; `a.b` is field b of the object a. */
export type FieldName = string | number;

export interface PairFields {
  readonly source: FieldName;
  readonly target: FieldName;
  readonly kind?: FieldName;
}

export interface PairFileSource {
  /** A file, directory or `name*` pattern; with `target`, the source side of two line-aligned files or of a test set in SGML. */
  readonly path: string;
  /** The target side, line by line. */
  readonly target?: string;
  /** Overrides what the file names say. */
  readonly format?: PairFormat;
  /**
   * Which columns hold what. Default for TSV: 1, 2 and, where there is one, 3, unless the first line names `source` and `target`
   * or the languages. For CSV, JSON and Parquet: `source`, `target` and `kind`, or the language codes, on their own or
   * inside `translation`. Names for TSV and CSV: the first line holds them; numbers: there is no such line, or it names known ones.
   * In WMT test sets `target` names the translator of the reference.
   */
  readonly fields?: PairFields;
  /** Kind of the pairs that have no field for it. */
  readonly kind?: string;
}

/** Files with both sides, or two of them. */
export interface PairFile extends FoundFile<PairFormat> {
  readonly target?: FoundFile<'lines' | 'sgm'>;
  readonly origin: PairFileSource;
}

export const PAIRS_OP = 'readPairs';

const PAIR_FILES: FileKinds<PairFormat> = {
  formats: { tsv: 'tsv', tab: 'tsv', jsonl: 'jsonl', ndjson: 'jsonl', json: 'json', csv: 'csv', parquet: 'parquet', tmx: 'tmx', xml: 'wmt' },
  fallback: undefined,
  what: 'TSV, CSV, JSON lines, Parquet, TMX or WMT XML',
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
    if (origin.target !== undefined || origin.format === 'lines' || isSgm(origin)) files.push(await twoFiles(origin));
    else for (const file of await expandSource(origin.path, PAIR_FILES, origin.format)) files.push({ ...file, origin });
  }
  return files;
}

const SGM = /\.sgml?$/i;

/** Whether a source is one of the two files of a test set in SGML. */
function isSgm({ path, format }: PairFileSource): boolean {
  return format === 'sgm' || (format === undefined && SGM.test(withoutCompression(path)));
}

async function twoFiles(origin: PairFileSource): Promise<PairFile> {
  const { path, target } = origin;
  const format = isSgm(origin) ? 'sgm' : (origin.format ?? 'lines');
  const refuse = (problem: string): never => {
    throw new XMoEError('config', problem, { op: PAIRS_OP, hint: format === 'sgm' ? 'a test set has two files: write sources.sgm::references.sgm' : 'two line-aligned files have a path and a target' });
  };
  if (target === undefined) return refuse(`${path} has no target file`);
  if (format !== 'lines' && format !== 'sgm') return refuse(`${path} with a target file cannot be ${format}`);
  if (origin.format === undefined && SGM.test(withoutCompression(target)) !== (format === 'sgm')) return refuse(`${path} and ${target} are of different formats`);
  for (const name of [path, target]) if (!(await stat(name).catch(() => undefined))?.isFile()) notFound(name, PAIRS_OP);
  const describe = (name: string) => ({ path: name, format, compression: compressionOf(name) });
  return { ...describe(path), target: describe(target), origin };
}

/**
 * A fingerprint of files by what they hold and how they are read, whatever they are called. It costs a pass over them; `record` names a
 * file where the sha256 of large ones are remembered.
 */
export async function fingerprintPairSources(sources: readonly PairFileSource[], record?: string): Promise<string> {
  const files = (await listPairFiles(sources)).flatMap(({ path, target, format, origin }) => {
    const as = JSON.stringify([format, origin.fields ?? null, origin.kind ?? null]);
    return target === undefined ? [{ path, as }] : [{ path, as }, { path: target.path, as: `target ${as}` }];
  });
  return fingerprintFiles(files, record);
}
