// Turns what the user names (files, directories, a * in the last part) into a sorted list of files with their formats.
// It opens no file.
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { compressionOf, withoutCompression, type PackedFile } from './compressed-bytes.js';

/** `json`: an array of rows, or a row per line. */
export type SourceFormat = 'text' | 'jsonl' | 'json' | 'csv' | 'tsv' | 'parquet';

export type SourceFile = FoundFile<SourceFormat>;

const FORMATS: Readonly<Record<string, SourceFormat>> = {
  txt: 'text',
  text: 'text',
  md: 'text',
  raw: 'text', // WikiText as first published: wiki.train.raw, wiki.train.tokens
  tokens: 'text',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  json: 'json',
  csv: 'csv',
  tsv: 'tsv',
  tab: 'tsv',
  parquet: 'parquet',
};

const DOCUMENT_FILES: FileKinds<SourceFormat> = {
  formats: FORMATS,
  fallback: 'text',
  what: 'text, JSON lines, CSV, TSV or Parquet',
  op: 'readDocuments',
};

/**
 * The files behind `sources`, in the order named; within a directory or pattern sorted by name. A directory gives its
 * files with a known ending (not its subdirectories). `format` overrides the ending. Throws when a source names nothing.
 */
export async function listSourceFiles(sources: readonly string[], format?: SourceFormat): Promise<SourceFile[]> {
  if (sources.length === 0) {
    throw new XMoEError('data', 'no sources', { op: 'readDocuments', hint: 'name at least one file or directory' });
  }
  const files: SourceFile[] = [];
  for (const source of sources) for (const file of await expandSource(source, DOCUMENT_FILES, format)) files.push(file);
  return files;
}

/** What a reader takes. */
export interface FileKinds<Format extends string> {
  /** Format by the ending of the file name, `.gz` and `.zst` aside. */
  readonly formats: Readonly<Record<string, Format>>;
  /** Format of a file that is named on purpose and has another ending; undefined: refused. */
  readonly fallback: Format | undefined;
  /** For messages: `text, JSON lines or Parquet`. */
  readonly what: string;
  readonly op: string;
}

/** A file with its format and compression. */
export interface FoundFile<Format extends string> extends PackedFile {
  readonly format: Format;
}

/** The files behind one file, directory or `name*` pattern. Throws when it names none. */
export async function expandSource<Format extends string>(
  source: string,
  kinds: FileKinds<Format>,
  format?: Format,
): Promise<FoundFile<Format>[]> {
  const found = await expand(source, kinds, format);
  if (found.length > 0) return found;
  throw new XMoEError('data', `${source} holds no ${kinds.what} files`, {
    op: kinds.op,
    hint: `known endings: ${Object.keys(kinds.formats).join(', ')}, each also with .gz or .zst; or name the format`,
  });
}

async function expand<Format extends string>(
  source: string,
  { formats, fallback, op }: FileKinds<Format>,
  format: Format | undefined,
): Promise<FoundFile<Format>[]> {
  const known = (name: string, otherwise: Format | undefined) => format ?? formatOf(name, formats) ?? otherwise;
  const describe = (path: string, otherwise: Format | undefined): FoundFile<Format>[] => {
    const found = known(path, otherwise);
    return found === undefined ? [] : [{ path, format: found, compression: compressionOf(path) }];
  };
  const entry = await stat(source).catch(() => undefined);
  if (entry?.isFile()) return describe(source, fallback);
  const pattern = entry === undefined && /[*?]/.test(basename(source));
  if (entry === undefined && !pattern) notFound(source, op);
  const directory = pattern ? dirname(source) : source;
  const matches = pattern ? wildcard(basename(source)) : /^[^.]/;
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => notFound(directory, op));
  const names = entries.filter((item) => !item.isDirectory() && matches.test(item.name)).map((item) => item.name);
  return names.sort().flatMap((name) => describe(join(directory, name), pattern ? fallback : undefined));
}

/** Refuses a path that does not exist. */
export function notFound(path: string, op: string): never {
  throw new XMoEError('data', `${path} does not exist`, {
    op,
    hint: 'check the path; it is taken relative to the current directory',
  });
}

/** Format that a file's ending says, `.gz` and `.zst` aside; undefined when it is not known. */
export const formatOfName = (name: string): SourceFormat | undefined => formatOf(name, FORMATS);

function formatOf<Format extends string>(name: string, formats: Readonly<Record<string, Format>>): Format | undefined {
  const ending = withoutCompression(name.toLowerCase()).split('.').at(-1)!;
  return Object.hasOwn(formats, ending) ? formats[ending] : undefined;
}

/** `*` stands for any characters and `?` for one, within one name. */
function wildcard(pattern: string): RegExp {
  const escaped = pattern.replace(/[\\^$.+()[\]{}|]/g, '\\$&');
  const hidden = pattern.startsWith('.') ? '' : '(?![.])'; // as in a shell
  return new RegExp(`^${hidden}${escaped.replace(/\*/g, '.*').replace(/\?/g, '.')}$`);
}
