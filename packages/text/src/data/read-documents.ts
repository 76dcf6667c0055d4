// The corpus reader: files in, documents out, with a count of what was malformed. It neither tokenises nor splits.
import { XMoEError } from '@xmoe/core';
import {
  createMalformedRows,
  problemOfText,
  type MalformedRows,
  type MalformedSummary,
  type TextDocument,
} from './documents.js';
import {
  createArticleJoiner,
  createMarkedJoiner,
  createRowJoiner,
  isArticleTitle,
  type Joiner,
} from './document-joiners.js';
import { readRows, type Row } from './row-readers.js';
import { listSourceFiles, type SourceFile, type SourceFormat } from './source-files.js';

export interface ReadDocumentsOptions {
  /** Overrides what the file names say. */
  format?: SourceFormat;
  /** Field or column that holds the text. Default `text`. */
  field?: string;
  /**
   * `wikitext`: rows are lines, an article begins at ` = Title = `. `none`: never. `auto` (default): wherever the first
   * row of a file that is not blank is such a title.
   */
  articles?: 'auto' | 'wikitext' | 'none';
  /** Throw at the first malformed row instead of counting it. Default false. */
  strict?: boolean;
  /** Most times its size that a compressed file, or a page of Parquet, may unpack to (64 MiB always may). Default 256. */
  maximumExpansion?: number;
}

/** Iterates from the beginning each time; `malformed` tells about the latest iteration. */
export interface DocumentStream extends AsyncIterable<TextDocument> {
  readonly malformed: MalformedSummary;
}

/**
 * The documents of files, directories and `name*` patterns: plain text (a document per file, or separated by lines
 * `<|endoftext|>`), JSON lines and arrays, CSV and TSV with a header, also as .gz or .zst, and Parquet. Memory is bounded by a page or a
 * document. Throws on
 * sources that are missing, cut short, or hold no document at all.
 */
export function readDocuments(sources: string | readonly string[], options: ReadDocumentsOptions = {}): DocumentStream {
  const names = typeof sources === 'string' ? [sources] : sources;
  let malformed = createMalformedRows(false);
  return {
    get malformed() {
      return malformed.summary;
    },
    [Symbol.asyncIterator]() {
      malformed = createMalformedRows(options.strict ?? false);
      return iterate(names, options, malformed);
    },
  };
}

async function* iterate(
  names: readonly string[],
  options: ReadDocumentsOptions,
  malformed: MalformedRows,
): AsyncGenerator<TextDocument> {
  const files = await listSourceFiles(names, options.format);
  let found = 0;
  let open: OpenFile | undefined;
  for (const file of files) {
    if (open !== undefined && !open.continuesIn(file)) {
      for (const document of open.finish()) yield (found++, document);
      open = undefined;
    }
    open ??= openFile(file, options, malformed);
    for await (const rows of readRows({ ...file, maximumExpansion: options.maximumExpansion }, { field: options.field ?? 'text', malformed })) {
      for (const row of rows) {
        const document = open.push(row);
        if (document !== undefined) yield (found++, document);
      }
    }
  }
  for (const document of open?.finish() ?? []) yield (found++, document);
  if (found === 0) {
    const { count, first } = malformed.summary;
    const reason = count === 0 ? 'all empty' : `${count} malformed rows, first ${first[0].place}: ${first[0].reason}`;
    throw new XMoEError('data', `no documents in ${names.join(', ')} (${files.length} files, ${reason})`, {
      op: 'readDocuments',
      hint: 'check the files and the name of the text field',
    });
  }
}

/** So many blank rows at the beginning of a file, and it is not WikiText. */
const MOST_BLANK_ROWS = 16;

interface OpenFile {
  push(row: Row): TextDocument | undefined;
  finish(): TextDocument[];
  /** Whether an article may go on in the next file: the parts of one WikiText Parquet table. */
  continuesIn(next: SourceFile): boolean;
}

/** Joins the rows of a file (or of the parts of one table) and checks and numbers the documents. */
function openFile(file: SourceFile, options: ReadDocumentsOptions, malformed: MalformedRows): OpenFile {
  const plain = file.format === 'text' ? createMarkedJoiner : createRowJoiner;
  const mode = options.articles ?? 'auto';
  let joiner: Joiner = mode === 'wikitext' ? createArticleJoiner() : plain();
  let articles = mode === 'wikitext';
  let undecided: Row[] | undefined = mode === 'auto' ? [] : undefined; // blank rows seen before `auto` could decide
  let index = 0;

  const accept = (text: string | undefined, place: string): TextDocument | undefined => {
    const joined = joiner.push(text);
    return joined === undefined ? undefined : toDocument(joined, place);
  };
  const toDocument = (text: string, place: string): TextDocument | undefined => {
    const problem = problemOfText(text);
    if (problem === undefined) return { text, source: file.path, index: index++, place };
    malformed.report(place, problem);
    return undefined;
  };
  const decide = (firstText: string) => {
    const blanks = undecided ?? [];
    undecided = undefined;
    articles = isArticleTitle(firstText);
    if (articles) joiner = createArticleJoiner();
    for (const { text, place } of blanks) accept(text, place); // no document: blank rows are reported or kept back
  };
  return {
    push(row) {
      if (undecided !== undefined && row.text !== undefined) {
        if (row.text.trim() === '' && undecided.length < MOST_BLANK_ROWS) {
          undecided.push(row);
          return undefined;
        }
        decide(row.text);
      }
      return accept(row.text, row.place);
    },
    finish() {
      if (undecided !== undefined) decide('');
      const rest = joiner.finish();
      const document = rest === undefined ? undefined : toDocument(rest, file.path);
      return document === undefined ? [] : [document];
    },
    continuesIn: (next) => articles && tableOf(file.path) !== undefined && tableOf(file.path) === tableOf(next.path),
  };
}

/** `dir/train-00001-of-00002.parquet` → `dir/train-of-00002.parquet`: the same for all parts of one table. */
function tableOf(path: string): string | undefined {
  return /-\d+-of-\d+/.test(path) ? path.replace(/-\d+(-of-\d+)/, '$1') : undefined;
}
