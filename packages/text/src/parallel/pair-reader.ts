// What the readers of all pair formats are given: the languages, the books of malformed rows, and a place for what a
// user should know about how a file was read. No reading.
import type { MalformedRows } from '../data/documents.js';
import type { LanguagePair } from './pairs.js';

export interface PairReader {
  readonly languages: LanguagePair;
  readonly malformed: MalformedRows;
  /** Tells which of several ways a file was read in, such as `train.tsv: its first line names the columns`. */
  note(text: string): void;
}
