// What a document is for the pipeline, and the books kept about rows that could not be read. No reading here.
import { XMoEError } from '@xmoe/core';

/** A text that is tokenised as a unit and followed by the end-of-text token. */
export interface TextDocument {
  /** Well-formed, not empty. */
  readonly text: string;
  /** The file or collection it came from. */
  readonly source: string;
  /** 0-based number within `source`. */
  readonly index: number;
  /** The row that completes it (`file:line`, `file row n`), for messages. */
  readonly place?: string;
  /** Free facts about the document, such as its genre. */
  readonly meta?: Readonly<Record<string, string | number>>;
}

/** A row that was left out, by place (`file:line`, `file row n`) and reason. */
export interface MalformedRow {
  readonly place: string;
  readonly reason: string;
}

export interface MalformedSummary {
  /** Rows left out. */
  readonly count: number;
  /** The first few of them. */
  readonly first: readonly MalformedRow[];
}

/** Documents to iterate over, with the rows that the reader had to leave out. */
export type DocumentSource = (Iterable<TextDocument> | AsyncIterable<TextDocument>) & {
  readonly malformed?: MalformedSummary;
};

const KEPT_ROWS = 10;

export interface MalformedRows {
  readonly summary: MalformedSummary;
  report(place: string, reason: string): void;
}

/** Counts malformed rows and keeps the first ones. With `strict` the first one throws, naming `op`. */
export function createMalformedRows(strict: boolean, op = 'readDocuments'): MalformedRows {
  const first: MalformedRow[] = [];
  let count = 0;
  return {
    get summary() {
      return { count, first: [...first] };
    },
    report(place, reason) {
      if (strict) {
        throw new XMoEError('data', `${place}: ${reason}`, {
          op,
          hint: 'mend or remove the row, or leave out strict to count such rows and go on',
        });
      }
      count++;
      if (first.length < KEPT_ROWS) first.push({ place, reason });
    },
  };
}

/** Why `text` cannot be a document, or undefined when it can. */
export function problemOfText(text: unknown): string | undefined {
  if (typeof text !== 'string') return text === null || text === undefined ? 'no text' : `text is a ${typeof text}`;
  if (text.trim() === '') return 'text is empty';
  return /\p{Surrogate}/u.test(text) ? 'text holds half a surrogate pair' : undefined;
}
