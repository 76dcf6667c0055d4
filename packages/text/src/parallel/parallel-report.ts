// What preparing parallel text tells about it: counts per filter, sizes and kinds of the splits. Plain data, saved as
// report.json beside the pairs and again beside the shards.
import type { MalformedSummary } from '../data/documents.js';
import type { SplitName } from '../data/splits.js';
import type { CleaningCounts, DroppedPair } from './clean-pairs.js';
import type { LanguagePair } from './pairs.js';

export const REPORT_FILE = 'report.json';

/** Pairs that training must not see. */
export interface LeakCounts {
  /** A side is the same as that of a held-out pair, apart from case, punctuation and numbers. */
  readonly equal: number;
  /** A side is nearly the same. */
  readonly near: number;
  readonly examples: Readonly<Record<'equal' | 'near', readonly DroppedPair[]>>;
}

export interface SplitReport {
  /** `held out`, or the label of a given set. */
  readonly from: string;
  readonly pairs: number;
  /** Characters of both sides. */
  readonly characters: number;
  readonly byKind: Readonly<Record<string, number>>;
}

/** Of the first stage. */
export interface PairsReport {
  readonly languages: LanguagePair;
  /** Labels of the corpora. */
  readonly corpora: readonly string[];
  readonly malformed: MalformedSummary;
  /** How files were read, where there is more than one way. */
  readonly notes: readonly string[];
  readonly cleaning: CleaningCounts;
  readonly leaks: LeakCounts;
  readonly splits: Readonly<Record<SplitName, SplitReport>>;
}

/** Of all stages. */
export interface ParallelReport extends PairsReport {
  readonly vocabularySize: number;
  /** Pairs of the training split with too many tokens. */
  readonly tooLong: number;
  readonly tokens: Readonly<Record<SplitName, { readonly source: number; readonly target: number }>>;
}
