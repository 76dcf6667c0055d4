// What a pair of texts is for the pipeline, and where pairs come from. No reading, no cleaning.
import type { MalformedSummary } from '../data/documents.js';

/** A text and its translation. */
export interface TextPair {
  readonly source: string;
  readonly target: string;
  /** Sort of text, such as `news` or `ui`; held-out sets are drawn from every kind. */
  readonly kind?: string;
  /** Where it was read, for messages: `file:line`, `file row n`. */
  readonly place: string;
}

/** Language codes as BCP 47 writes them: `de`, `zh`, `pt-br`. */
export interface LanguagePair {
  readonly source: string;
  readonly target: string;
}

/** Pairs to iterate over, from the beginning each time. */
export type PairStream = (Iterable<TextPair> | AsyncIterable<TextPair>) & {
  /** Rows that the latest iteration had to leave out. */
  readonly malformed?: MalformedSummary;
  /** What the latest iteration has to say about how it read its files. */
  readonly notes?: readonly string[];
};

/** A set of pairs, and what says which pairs these are before they are read: a change makes the stages anew. */
export interface PairCorpus {
  /** For messages and reports. */
  readonly label: string;
  readonly pairs: PairStream;
  readonly fingerprint: string;
}
