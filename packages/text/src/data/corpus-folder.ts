// Looks through a folder of a corpus, down to a few levels: which files can be read, which cannot, which are no text of it. It
// decides nothing about splits (corpus-layout.ts) and opens no file but the pointer of a hub cache.
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { formatOfName, notFound, type SourceFormat } from './source-files.js';
import { labelOfFile } from './split-names.js';

export interface CorpusFile {
  readonly path: string;
  readonly name: string;
  readonly format: SourceFormat;
}

export interface UnreadableFile {
  readonly path: string;
  readonly reason: string;
  /** It may be a part like the others, only compressed otherwise, or gone: never to be passed over. */
  readonly packed: boolean;
}

export interface CorpusFolder {
  readonly path: string;
  readonly name: string;
  /** Sorted by name, as the rest. */
  readonly files: readonly CorpusFile[];
  /** Paths of files that are not the corpus: dataset cards, licences, metadata, unknown kinds, hidden ones. */
  readonly strangers: readonly string[];
  /** Files that look like a part of the corpus and cannot be read. */
  readonly unreadable: readonly UnreadableFile[];
  readonly folders: readonly CorpusFolder[];
}

const OP = 'readDocuments';
/** Folders below the one named. */
export const MOST_LEVELS = 6;
const MOST_ENTRIES = 200_000;

/** Why a file cannot be read, by its name; undefined when it can, or is not known at all. */
export function unreadableReason(name: string): Omit<UnreadableFile, 'path'> | undefined {
  const ending = /\.([A-Za-z0-9]+)$/.exec(name)?.[1].toLowerCase() ?? '';
  if (/^(zip|7z|rar|tar|tgz|tbz2?|txz)$/.test(ending) || /\.tar\.\w+$/i.test(name)) return { reason: 'an archive', packed: false };
  if (/^(bz2|xz|lzma|lz4|lz|br|sz|snappy)$/.test(ending)) return { reason: `compressed as .${ending}`, packed: true };
  return /^(arrow|feather|orc|avro|h5|hdf5|pkl|pickle|npy|npz|bin|tfrecords?)$/.test(ending) ? { reason: `of the kind .${ending}`, packed: false } : undefined;
}

/** Kinds that are a part of the corpus only where their name says so. */
const ONLY_BY_NAME = /\.(bin|npy|npz|pkl|pickle|h5|hdf5)$/i;

/** Papers that lie beside a corpus, as repositories have them. */
const PAPERS = /^((readme|licen[cs]e)([-_.].*)?|(copying|notice|citation|changelog|contributing|authors|code_of_conduct|requirements|dataset[-_ ]?card|model[-_ ]?card)(\.\w+)*)$/i;
const METADATA = /^(dataset[-_]?infos?|dataset[-_]dict|state|metadata|config|index|manifest|package|tokenizer(_config)?|vocab|stats)\.json$/i;

/** Whether a file is called as what lies beside a corpus: a card, a licence, metadata. */
export const isPaper = (name: string): boolean => name.startsWith('.') || PAPERS.test(name) || METADATA.test(name);

/** Reads the folder at `path` and those in it. Follows links, each folder once; leaves hidden folders alone. */
export async function readCorpusFolder(path: string): Promise<CorpusFolder> {
  const seen = new Set<string>();
  let entries = 0;
  const read = async (folder: string, name: string, level: number): Promise<CorpusFolder> => {
    const found = { files: [] as CorpusFile[], strangers: [] as string[], unreadable: [] as UnreadableFile[], folders: [] as CorpusFolder[] };
    seen.add(await realpath(folder));
    for (const item of await namesIn(folder)) {
      if (++entries > MOST_ENTRIES) throw tooMany(path);
      const at = join(folder, item);
      const entry = await stat(at).catch(() => undefined);
      if (entry?.isDirectory()) {
        if (item.startsWith('.') || level === MOST_LEVELS || seen.has(await realpath(at))) continue;
        found.folders.push(await read(at, item, level + 1));
      } else {
        classify(at, item, entry, found);
      }
    }
    return { path: folder, name, ...found };
  };
  const root = (await snapshotOfCache(path)) ?? path;
  return withoutCompanions(await read(root, '', 0));
}

async function namesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') notFound(folder, OP);
    throw new XMoEError('data', `${folder} cannot be read: ${cause.message}`, { op: OP, hint: 'check its permissions', cause });
  });
  return names.sort();
}

function classify(
  path: string,
  name: string,
  entry: { isFile(): boolean } | undefined,
  found: { files: CorpusFile[]; strangers: string[]; unreadable: UnreadableFile[] },
): void {
  const format = formatOfName(name);
  const why = unreadableReason(name);
  const named = labelOfFile(name) !== undefined;
  if (isPaper(name)) found.strangers.push(path);
  else if (entry === undefined && (format !== undefined || named)) found.unreadable.push({ path, reason: 'a link to nothing', packed: true });
  else if (!entry?.isFile()) found.strangers.push(path);
  else if (format !== undefined && why === undefined) found.files.push({ path, name, format });
  else if (why !== undefined && (named || !ONLY_BY_NAME.test(name))) found.unreadable.push({ path, ...why });
  else found.strangers.push(path);
}

/** The folder that the Hugging Face hub's cache of a data set means: `snapshots/<commit>`, by `refs/main` or the only one. */
async function snapshotOfCache(path: string): Promise<string | undefined> {
  const names = await namesIn(path);
  if (!['blobs', 'snapshots'].every((name) => names.includes(name))) return undefined;
  const snapshots = await namesIn(join(path, 'snapshots'));
  const main = (await readFile(join(path, 'refs', 'main'), 'utf8').catch(() => '')).trim();
  const name = snapshots.find((snapshot) => snapshot === main) ?? (snapshots.length === 1 ? snapshots[0] : undefined);
  if (name !== undefined) return join(path, 'snapshots', name);
  throw new XMoEError('data', `${path} is a cache with ${snapshots.length} snapshots, and refs/main names none of them`, {
    op: OP,
    hint: snapshots.length === 0 ? 'download the data set again' : `name one of: ${snapshots.map((snapshot) => join(path, 'snapshots', snapshot)).join(', ')}`,
  });
}

/**
 * Unless their name says a split, files that only accompany others are strangers: Markdown beside or above anything else, JSON, CSV and
 * TSV beside or above JSON lines and Parquet, plain text beside Parquet.
 */
function withoutCompanions(folder: CorpusFolder): CorpusFolder {
  const folders = folder.folders.map(withoutCompanions);
  const has = (pattern: RegExp): boolean => folder.files.some(({ name }) => pattern.test(name));
  const rows = has(ROWS) || folders.some((below) => holds(below, ROWS));
  const others = rows || has(/\.(txt|text|raw|tokens|json|csv|tsv|tab)(\.\w+)?$/i);
  const accompanies = ({ name, format }: CorpusFile): boolean => {
    if (labelOfFile(name) !== undefined) return false;
    if (/\.md(\.\w+)?$/i.test(name)) return others;
    if (/\.(json|csv|tsv|tab)(\.\w+)?$/i.test(name)) return rows;
    return format === 'text' && has(PARQUET);
  };
  const strangers = folder.files.filter(accompanies).map(({ path }) => path);
  return { ...folder, folders, files: folder.files.filter((file) => !accompanies(file)), strangers: [...folder.strangers, ...strangers].sort() };
}

export const PARQUET = /\.parquet(\.\w+)?$/i;
const ROWS = /\.(parquet|jsonl|ndjson)(\.\w+)?$/i;

/** Whether a file in `folder` or below has such a name. */
export function holds(folder: CorpusFolder, pattern: RegExp): boolean {
  return folder.files.some(({ name }) => pattern.test(name)) || folder.folders.some((below) => holds(below, pattern));
}

function tooMany(path: string): XMoEError {
  return new XMoEError('data', `${path} holds more than ${MOST_ENTRIES.toLocaleString('en')} files and folders`, { op: OP, hint: 'name the folders or files that are the corpus' });
}
