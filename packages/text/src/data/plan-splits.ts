// From the layout of a corpus to the documents of each split: what has no files of its own is cut from train, by document or, where the
// documents are few, by span. Says in one line which rule held. Reads at most the first few documents.
import { dirname, extname } from 'node:path';
import type { CorpusLayout, LayoutFile } from './corpus-layout.js';
import type { DocumentSource } from './documents.js';
import { documentsOfSpan } from './span-split.js';
import type { HeldOut, SplitName } from './splits.js';
import type { SplitFractions } from './split-documents.js';
import { withoutCompression } from './compressed-bytes.js';

export interface SplitPlan {
  /** What `prepareShards` takes; fresh at each call. */
  documents(): DocumentSource | Partial<Record<SplitName, DocumentSource>>;
  /** Splits that `prepareShards` cuts from train, by document. */
  readonly cut: readonly HeldOut[];
  /** The shares of what is cut; 0 for the rest. */
  readonly split: SplitFractions;
  /** Differs where the same files give other splits. */
  readonly key: string;
  /** `splits: train from 2 files, validation from val.jsonl, test cut from train (5 %); left out: README.md` */
  readonly line: string;
}

/** From so many documents on they are not cut: each split gets whole ones. */
export const FEW_DOCUMENTS = 20;
const HELD_OUT = ['validation', 'test'] as const;

/**
 * Plans the splits of `layout`. A held-out split without files is cut from train, `fractions` of it; a share of 0 leaves it out. Fewer than
 * {@link FEW_DOCUMENTS} documents are cut into spans, or a split would be a large part of them, or empty.
 */
export async function planSplits(
  layout: CorpusLayout,
  fractions: SplitFractions,
  read: (paths: readonly string[]) => DocumentSource,
): Promise<SplitPlan> {
  const { files } = layout;
  const open = (name: SplitName): DocumentSource => read(files[name].map(({ path }) => path));
  const named = HELD_OUT.filter((name) => files[name].length > 0);
  const cut = HELD_OUT.filter((name) => files[name].length === 0 && fractions[name] > 0);
  const split = { validation: cut.includes('validation') ? fractions.validation : 0, test: cut.includes('test') ? fractions.test : 0 };
  const lengths = cut.length > 0 ? await lengthsOfFew(open('train')) : undefined;
  const published = (): Partial<Record<SplitName, DocumentSource>> => Object.fromEntries((['train', ...named] as const).map((name) => [name, open(name)]));
  const roles = Object.entries(files).map(([name, { length }]) => `${name} ${length}`).join(', ');
  const plan = { split, key: `${roles}; ${lengths === undefined ? 'documents' : `spans ${split.validation} ${split.test}`}`, line: lineOf(layout, split, lengths?.length) };
  if (lengths !== undefined) {
    const span = (name: SplitName): DocumentSource => spanOf(open('train'), lengths, split, name);
    return { ...plan, cut: [], documents: () => ({ ...published(), ...Object.fromEntries((['train', ...cut] as const).map((name) => [name, span(name)])) }) };
  }
  if (named.length === 0) return { ...plan, cut: [], documents: () => (cut.length > 0 ? open('train') : { train: open('train') }) };
  return { ...plan, cut, documents: published };
}

/** Lengths of all documents, where they are few. */
async function lengthsOfFew(documents: DocumentSource): Promise<number[] | undefined> {
  const lengths: number[] = [];
  for await (const { text } of documents) if (lengths.push(text.length) === FEW_DOCUMENTS) return undefined;
  return lengths;
}

function spanOf(documents: DocumentSource, lengths: readonly number[], split: SplitFractions, name: SplitName): DocumentSource {
  const pieces = { [Symbol.asyncIterator]: () => documentsOfSpan(documents, lengths, split, name) };
  // The documents are read once for each split: the rows left out count once.
  return name === 'train' ? { ...pieces, get malformed() { return documents.malformed; } } : pieces;
}

/** Which rule holds, for people. `few`: so many documents are cut into spans. */
function lineOf({ files, leftOut }: CorpusLayout, split: SplitFractions, few: number | undefined): string {
  const isCut = (name: HeldOut): boolean => split[name] > 0;
  const parts = HELD_OUT.map((name) => {
    if (files[name].length > 0) return `${name} from ${origin(files[name])}`;
    if (!isCut(name)) return `no ${name}`;
    if (few === undefined) return `${name} cut from train by document (${percent(split[name])})`;
    return `${name} the ${name === 'validation' && isCut('test') ? 'next' : 'last'} ${percent(split[name])}`;
  });
  const spans = few === undefined ? '' : ` (${few === 1 ? 'one document' : `${few} documents`}, cut into spans: the first ${percent(1 - split.validation - split.test)})`;
  const without = leftOut.length === 0 ? '' : `; left out: ${leftOut.slice(0, 6).join(', ')}${leftOut.length > 6 ? ` and ${leftOut.length - 6} more` : ''}`;
  return `splits: train from ${origin(files.train)}${spans}, ${parts.join(', ')}${without}`;
}

/** `2 Parquet files in plain_text (2 of 80 parts)`, or the name of the only file. */
function origin(files: readonly LayoutFile[]): string {
  if (files.length === 1) return `${files[0].shown}${partsOf(files)}`;
  const folders = new Set(files.map(({ shown }) => dirname(shown)));
  const kinds = new Set(files.map(({ shown }) => extname(withoutCompression(shown)).toLowerCase()));
  const folder = folders.size > 1 ? ` in ${folders.size} folders` : [...folders][0] === '.' ? '' : ` in ${[...folders][0]}`;
  return `${files.length} ${kinds.has('.parquet') && kinds.size === 1 ? 'Parquet ' : ''}files${folder}${partsOf(files)}`;
}

/** Where names number the parts of one table and some are not there. */
function partsOf(files: readonly LayoutFile[]): string {
  const totals = files.map(({ shown }) => Number(/-\d+-of-(\d+)/.exec(shown)?.[1] ?? 0));
  return totals[0] > files.length && totals.every((total) => total === totals[0]) ? ` (${files.length} of ${totals[0]} parts)` : '';
}

const percent = (share: number): string => `${Number((100 * share).toPrecision(3))} %`;
