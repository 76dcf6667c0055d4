// The filters a pair goes through, in order, each with a count and a few examples. A pair is judged on its own, except for
// repetition; leaks from held-out sets are found elsewhere, when those are known.
import { XMoEError } from '@xmoe/core';
import { createCountTable } from '../data/count-table.js';
import { hashText53, normaliseText } from './normalise-text.js';
import type { LanguagePair, TextPair } from './pairs.js';
import { scriptShare, scriptsOf, weightedLength } from './scripts.js';

export interface CleaningOptions {
  /** Least characters of a side. Default 1. */
  minCharacters?: number;
  /** Most characters of a side. Default 1,000. */
  maxCharacters?: number;
  /**
   * Most times that one side may be longer than the other, with ten characters of grace. Dense scripts count more:
   * a Han character as three. Default 3.
   */
  maxLengthRatio?: number;
  /** Drop what repeats an earlier pair to the character. Default true. */
  removeDuplicates?: boolean;
  /** Drop pairs whose sides are the same. Default true. */
  removeCopies?: boolean;
  /** Least share of a side's letters in a script of its language; 0: no check. Default 0.3. */
  minScriptShare?: number;
}

/** The filters in the order they are applied, and what each drops. */
export const cleaningFilters = {
  empty: 'a side without a visible character',
  damaged: 'a replacement character (U+FFFD): lost in an earlier conversion',
  short: 'a side with too few characters',
  long: 'a side with too many characters',
  ratio: 'one side too long for the other',
  copy: 'source and target the same',
  noLetters: 'a side without letters',
  script: 'too few letters in the script of the language',
  duplicate: 'an earlier pair again',
} as const;
export type CleaningFilter = keyof typeof cleaningFilters;

export interface DroppedPair {
  readonly place: string;
  readonly source: string;
  readonly target: string;
}

export interface CleaningCounts {
  readonly read: number;
  /** Pairs that normalisation changed. */
  readonly normalised: number;
  readonly dropped: Readonly<Record<CleaningFilter, number>>;
  /** The first few that each filter dropped. */
  readonly examples: Readonly<Record<CleaningFilter, readonly DroppedPair[]>>;
}

export interface PairCleaner {
  /** The pair in normal form, or undefined when a filter drops it. With `strict`, an empty side throws. */
  clean(pair: TextPair): TextPair | undefined;
  counts(): CleaningCounts;
}

export const KEPT_EXAMPLES = 3;
const GRACE = 10;
const EXAMPLE_CHARACTERS = 200;

/** A cleaner with empty books. Throws on a language whose script is not known, unless the script check is off. */
export function createPairCleaner(languages: LanguagePair, options: CleaningOptions = {}, strict = false): PairCleaner {
  const settings = resolveCleaning(options);
  const scripts = settings.minScriptShare > 0
    ? { source: scriptsOf(languages.source), target: scriptsOf(languages.target) }
    : undefined;
  const names = Object.keys(cleaningFilters) as CleaningFilter[];
  const dropped = Object.fromEntries(names.map((name) => [name, 0])) as Record<CleaningFilter, number>;
  const examples = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<CleaningFilter, DroppedPair[]>;
  const seen = createCountTable();
  let [read, normalised] = [0, 0];

  const judge = (source: string, target: string): CleaningFilter | undefined => {
    if (source === '' || target === '') return 'empty';
    if (source.includes('\uFFFD') || target.includes('\uFFFD')) return 'damaged';
    if (Math.min(source.length, target.length) < settings.minCharacters) return 'short';
    if (Math.max(source.length, target.length) > settings.maxCharacters) return 'long';
    const lengths = [weightedLength(source), weightedLength(target)];
    if (Math.max(...lengths) > settings.maxLengthRatio * Math.min(...lengths) + GRACE) return 'ratio';
    if (settings.removeCopies && source === target) return 'copy';
    if (scripts !== undefined) {
      const shares = [scriptShare(source, scripts.source), scriptShare(target, scripts.target)];
      if (shares.some(Number.isNaN)) return 'noLetters';
      if (Math.min(...shares) < settings.minScriptShare) return 'script';
    }
    return settings.removeDuplicates && seen.increment(hashText53(`${source}\0${target}`)) > 1 ? 'duplicate' : undefined;
  };
  return {
    clean(pair) {
      read++;
      const [source, target] = [normaliseText(pair.source), normaliseText(pair.target)];
      if (source !== pair.source || target !== pair.target) normalised++;
      const filter = judge(source, target);
      if (filter === undefined) return { ...pair, source, target };
      if (filter === 'empty' && strict) refuseEmpty(pair.place, source === '' ? 'source' : 'target');
      dropped[filter]++;
      if (examples[filter].length < KEPT_EXAMPLES) examples[filter].push(exampleOf(pair));
      return undefined;
    },
    counts: () => ({ read, normalised, dropped: { ...dropped }, examples: { ...examples } }),
  };
}

/** A pair for a report, cut to a readable length. */
export function exampleOf({ place, source, target }: TextPair): DroppedPair {
  return { place, source: source.slice(0, EXAMPLE_CHARACTERS), target: target.slice(0, EXAMPLE_CHARACTERS) };
}

/** The options with their defaults, checked. */
export function resolveCleaning(options: CleaningOptions): Required<CleaningOptions> {
  const settings = {
    minCharacters: 1, maxCharacters: 1000, maxLengthRatio: 3, removeDuplicates: true, removeCopies: true, minScriptShare: 0.3,
    ...options,
  };
  const fail = (problem: string): never => {
    throw new XMoEError('value', problem, { op: 'createPairCleaner', hint: 'correct the cleaning options' });
  };
  if (!(settings.minCharacters >= 1 && settings.minCharacters <= settings.maxCharacters)) {
    fail(`minCharacters is ${settings.minCharacters} and maxCharacters ${settings.maxCharacters}`);
  }
  if (!(settings.maxLengthRatio >= 1)) fail(`maxLengthRatio is ${settings.maxLengthRatio}, below 1`);
  if (!(settings.minScriptShare >= 0 && settings.minScriptShare <= 1)) fail(`minScriptShare is ${settings.minScriptShare}, outside 0 … 1`);
  return settings;
}

function refuseEmpty(place: string, side: string): never {
  throw new XMoEError('data', `${place}: the ${side} is empty`, {
    op: 'prepareParallel',
    hint: 'mend or remove the pair, or leave out strict to count such pairs and go on',
  });
}
