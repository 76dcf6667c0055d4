// Which files of a corpus belong to which split, by the names of files and folders: as on the Hugging Face hub and by the habits of
// other public corpora. Says what it leaves out; cutting what has no files is plan-splits.ts.
import { stat } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { holds, isPaper, MOST_LEVELS, PARQUET, readCorpusFolder, unreadableReason, type CorpusFolder, type UnreadableFile } from './corpus-folder.js';
import { listSourceFiles, type SourceFormat } from './source-files.js';
import { splitNames, type SplitName } from './splits.js';
import { labelOfFile, labelOfFolder, type SplitLabel } from './split-names.js';

/** A file and how it is called in messages: within the folder that was named. */
export interface LayoutFile {
  readonly path: string;
  readonly format: SourceFormat;
  readonly shown: string;
}

export interface CorpusLayout {
  /** Files of each split; none: it has none of its own, and may be cut from train, which always has some. */
  readonly files: Readonly<Record<SplitName, readonly LayoutFile[]>>;
  /** Found in a folder and not used, as called in messages; folders end with `/`. */
  readonly leftOut: readonly string[];
}

interface Placed extends LayoutFile {
  readonly label: SplitLabel | undefined;
  /** Named by the user, and not found in a folder. */
  readonly explicit: boolean;
}

interface Found {
  readonly placed: readonly Placed[];
  readonly leftOut: readonly string[];
}

const OP = 'readDocuments';
const MOST_LISTED = 12;

/**
 * The layout of files, directories and `name*` patterns. In a directory: files and folders called train, validation (valid, val,
 * dev), test (eval and held-out go where nothing else does) keep their splits; beside files called train, others are left out. One folder of
 * data below is gone into; several with splits of their own are refused by name.
 * @throws XMoEError `data` for what does not exist, cannot be read, or leaves nothing to train on
 */
export async function locateCorpus(sources: readonly string[]): Promise<CorpusLayout> {
  if (sources.length === 0) throw refuse('no sources', 'name at least one file or directory');
  const found: Found[] = [];
  for (const source of sources) found.push(await placeSource(source, sources.length > 1));
  const seen = new Set<string>();
  const all = found.flatMap((item) => item.placed).filter(({ path }) => !seen.has(resolve(path)) && seen.add(resolve(path)));
  const isCorpus = ({ path }: Placed): boolean => !isPaper(basename(path));
  const placed = all.some(isCorpus) ? all.filter(isCorpus) : all; // a shell's * names the card too
  const bySplit = (split: SplitLabel['split']): Placed[] => placed.filter(({ label }) => label?.split === split);
  const files = { train: placed.filter(({ label }) => label === undefined || label.split === 'train'), validation: bySplit('validation'), test: bySplit('test') };
  const other = bySplit('other');
  const free = (['test', 'validation'] as const).find((name) => files[name].length === 0);
  if (free !== undefined) files[free] = other;
  const papers = all.filter((file) => !placed.includes(file)).map(({ shown }) => shown);
  const leftOut = [...found.flatMap((item) => item.leftOut), ...papers, ...(free === undefined ? other.map(({ shown }) => shown) : [])];
  if (files.train.length > 0) return { files, leftOut };
  const named = splitNames.filter((name) => files[name].length > 0);
  // One split's files, named on purpose: they are the corpus, whatever they are called.
  if (named.length === 1 && placed.every(({ explicit }) => explicit)) return { files: { train: files[named[0]], validation: [], test: [] }, leftOut };
  const names = placed.slice(0, 3).map(({ shown }) => shown).join(', ');
  throw refuse(`${sources.join(', ')}: nothing to train on, only ${named.join(' and ')} files (${names}${placed.length > 3 ? ', …' : ''})`, 'name the files to train on themselves');
}

/** `several`: there are more sources, so the name of a folder among them may say its split. */
async function placeSource(source: string, several: boolean): Promise<Found> {
  const entry = await stat(source).catch(() => undefined);
  if (!entry?.isDirectory()) {
    const files = await listSourceFiles([source]);
    refuseUnreadable(files.flatMap(({ path }) => {
      const why = unreadableReason(basename(path));
      return why === undefined ? [] : [{ path, ...why }];
    }));
    return { placed: files.map(({ path, format }) => ({ path, format, shown: basename(path), label: labelOfFile(basename(path)), explicit: true })), leftOut: [] };
  }
  const folder = await readCorpusFolder(source);
  const label = several ? labelOfFolder(basename(resolve(source))) : undefined;
  const within = placeFolder(folder, folder.path, undefined);
  const named = (name: string): string => (several ? `${basename(resolve(source))}/${name}` : name);
  const placed = within.placed.map((file) => ({ ...file, shown: named(file.shown) }));
  const leftOut = within.leftOut.map(named);
  const trains = placed.some(({ label: own }) => isSureTrain(own));
  return {
    placed: placed.filter((file) => !trains || file.label !== undefined).map((file) => (label === undefined || file.label !== undefined ? file : { ...file, label, explicit: true })),
    leftOut: [...leftOut, ...placed.filter((file) => trains && file.label === undefined).map(({ shown }) => shown)].sort(),
  };
}

/** The files of a folder with their labels. `inherited`: of the folder, when its name says a split. */
function placeFolder(folder: CorpusFolder, root: string, inherited: SplitLabel | undefined): Found {
  const shown = (path: string): string => relative(root, path).split(sep).join('/');
  const below = folder.folders.filter((sub) => holdsAny(sub));
  const splits = inherited === undefined ? below.filter((sub) => saysSplit(sub, below)) : below;
  if (inherited === undefined && folder.files.length === 0 && splits.length === 0 && below.length > 0) {
    const { placed, leftOut } = placeOneOf(below, root);
    return { placed, leftOut: [...leftOut, ...folder.strangers.map(shown), ...folder.unreadable.map(({ path }) => shown(path))] };
  }
  const surely = splits.length > 0 || folder.files.some(({ name }) => isSureTrain(labelOfFile(name)));
  const extra = ({ path, packed }: UnreadableFile): boolean => surely && !packed && labelOfFile(basename(path)) === undefined; // an archive of pictures, say
  refuseUnreadable(folder.unreadable.filter((file) => !extra(file)));
  if (folder.files.length === 0 && splits.length === 0) {
    throw refuse(`${root} holds no text, JSON lines, CSV, TSV or Parquet files${folder.strangers.length > 0 ? ` beside ${folder.strangers.slice(0, 5).map(shown).join(', ')}` : ''}`,
      `name a file itself to have it read as text; folders are looked through ${MOST_LEVELS} levels down`);
  }
  const others = below.filter((sub) => !splits.includes(sub));
  if (splits.length === 0 && folder.files.every(({ name, format }) => format === 'text' && labelOfFile(name) === undefined) && others.some((sub) => holds(sub, PARQUET))) {
    throw refuse(`${folder.path} holds text files (${folder.files.slice(0, 3).map(({ name }) => name).join(', ')}) and folders of Parquet files (${others.map(({ name }) => name).join(', ')})`,
      `name what you mean: ${[...others.map(({ path }) => path), `${join(folder.path, '*')}`].join(' or ')}`);
  }
  const own = folder.files.map(({ path, name, format }): Placed => ({ path, format, shown: shown(path), label: nearer(labelOfFile(name), inherited), explicit: false }));
  const parts = splits.map((sub) => placeFolder(sub, root, nearer(labelOfFolder(sub.name), inherited)));
  return {
    placed: [...own, ...parts.flatMap(({ placed }) => placed)],
    leftOut: [...folder.strangers.map(shown), ...folder.unreadable.map(({ path }) => shown(path)), ...others.map(({ path }) => `${shown(path)}/`), ...parts.flatMap(({ leftOut }) => leftOut)],
  };
}

/** Folders side by side with no file beside them: the one with splits, or all where none has any. Several: the user must choose. */
function placeOneOf(folders: readonly CorpusFolder[], root: string): Found {
  const shown = ({ path }: CorpusFolder): string => relative(root, path).split(sep).join('/');
  const found = folders.map((folder) => ({ folder, ...placeFolder(folder, root, undefined) }));
  const corpora = found.filter(({ placed }) => placed.some(({ label }) => label !== undefined));
  if (corpora.length > 1) {
    const names = corpora.map(({ folder }) => shown(folder));
    const listed = names.length > MOST_LISTED ? `${names.slice(0, MOST_LISTED).join(', ')} and ${names.length - MOST_LISTED} more` : names.join(', ');
    throw refuse(`${root} holds ${names.length} corpora, each with its own splits: name one of: ${listed}`, `for example --data ${join(root, names[0])}`);
  }
  const used = corpora.length === 1 ? corpora : found;
  return {
    placed: used.flatMap(({ placed }) => placed),
    leftOut: [...used.flatMap(({ leftOut }) => leftOut), ...found.filter((item) => !used.includes(item)).map(({ folder }) => `${shown(folder)}/`)],
  };
}

/** Whether a folder's name says a split: surely, or beside a folder of another split. */
function saysSplit(folder: CorpusFolder, siblings: readonly CorpusFolder[]): boolean {
  const label = labelOfFolder(folder.name);
  return label !== undefined && (label.sure || siblings.some(({ name }) => (labelOfFolder(name)?.split ?? label.split) !== label.split));
}

const isSureTrain = (label: SplitLabel | undefined): boolean => label?.split === 'train' && label.sure;

/** A name that surely says a split counts before the folder's, and that before a name which only holds the word. */
function nearer(own: SplitLabel | undefined, inherited: SplitLabel | undefined): SplitLabel | undefined {
  return own?.sure ? own : (inherited ?? own);
}

function holdsAny(folder: CorpusFolder): boolean {
  return folder.files.length > 0 || folder.unreadable.length > 0 || folder.folders.some(holdsAny);
}

function refuseUnreadable(files: readonly UnreadableFile[]): void {
  if (files.length === 0) return;
  const listed = files.slice(0, 5).map(({ path, reason }) => `${path} (${reason})`).join(', ');
  throw refuse(`${files.length === 1 ? 'a file of the corpus' : `${files.length} files of the corpus`} cannot be read: ${listed}${files.length > 5 ? ', …' : ''}`,
    'unpack them, or pack them as .gz or .zst; convert tables to Parquet or JSON lines; or name the other files');
}

function refuse(problem: string, hint: string): XMoEError {
  return new XMoEError('data', problem, { op: OP, hint });
}
