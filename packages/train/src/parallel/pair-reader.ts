// What the readers of all pair formats are given: the languages, and the books of malformed rows. No reading.
import type { MalformedRows } from '../data/documents.js';
import type { LanguagePair } from './pairs.js';

export interface PairReader {
  readonly languages: LanguagePair;
  readonly malformed: MalformedRows;
}
