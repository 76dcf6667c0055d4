// Turns what the user names (files, directories, a * in the last part) into a sorted list of files with their formats.
// It opens no file.
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { XMoEError } from '@xmoe/core';

export type SourceFormat = 'text' | 'jsonl' | 'parquet';

export interface SourceFile {
  readonly path: string;
  readonly format: SourceFormat;
  readonly gzip: boolean;
}

const FORMATS: Readonly<Record<string, SourceFormat>> = {
  txt: 'text',
  text: 'text',
  md: 'text',
  raw: 'text', // WikiText as first published: wiki.train.raw, wiki.train.tokens
  tokens: 'text',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  json: 'jsonl',
  parquet: 'parquet',
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
  for (const source of sources) {
    const found = await expand(source, format);
    if (found.length === 0) {
      throw new XMoEError('data', `${source} holds no text, JSON lines or Parquet files`, {
        op: 'readDocuments',
        hint: `known endings: ${Object.keys(FORMATS).join(', ')}, each also with .gz (not Parquet); or name the format`,
      });
    }
    files.push(...found);
  }
  return files;
}

async function expand(source: string, format: SourceFormat | undefined): Promise<SourceFile[]> {
  const entry = await stat(source).catch(() => undefined);
  if (entry?.isFile()) return [describeFile(source, format ?? formatOf(source) ?? 'text')];
  const pattern = entry === undefined && /[*?]/.test(basename(source));
  if (entry === undefined && !pattern) notFound(source);
  const directory = pattern ? dirname(source) : source;
  const matches = pattern ? wildcard(basename(source)) : /^[^.]/;
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => notFound(directory));
  const names = entries.filter((item) => !item.isDirectory() && matches.test(item.name)).map((item) => item.name);
  return names.sort().flatMap((name) => {
    const known = format ?? formatOf(name) ?? (pattern ? 'text' : undefined);
    return known === undefined ? [] : [describeFile(join(directory, name), known)];
  });
}

function notFound(path: string): never {
  throw new XMoEError('data', `${path} does not exist`, {
    op: 'readDocuments',
    hint: 'check the path; it is taken relative to the current directory',
  });
}

function formatOf(name: string): SourceFormat | undefined {
  const ending = name.toLowerCase().replace(/\.gz$/, '').split('.').at(-1)!;
  return Object.hasOwn(FORMATS, ending) ? FORMATS[ending] : undefined;
}

function describeFile(path: string, format: SourceFormat): SourceFile {
  return { path, format, gzip: path.toLowerCase().endsWith('.gz') };
}

/** `*` stands for any characters and `?` for one, within one name. */
function wildcard(pattern: string): RegExp {
  const escaped = pattern.replace(/[\\^$.+()[\]{}|]/g, '\\$&');
  const hidden = pattern.startsWith('.') ? '' : '(?![.])'; // as in a shell
  return new RegExp(`^${hidden}${escaped.replace(/\*/g, '.*').replace(/\?/g, '.')}$`);
}
