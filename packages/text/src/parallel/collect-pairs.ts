// The first stage: reads all corpora, cleans the training pairs, holds some out, and removes what is like them. Two passes
// over a file of its own, so that memory does not grow with the corpus (but for a hash per pair). No tokens.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { writeDurably } from '../data/durable-files.js';
import type { SplitName } from '../data/splits.js';
import { createPairCleaner, exampleOf, KEPT_EXAMPLES, type CleaningOptions, type DroppedPair } from './clean-pairs.js';
import { createHoldOut, createLeakDetector, type HoldOutCounts, type LeakDetector } from './hold-out.js';
import { hashText53, normaliseText } from './normalise-text.js';
import { createPairWriter, readPairFile, type PairWriter, type StoredPair } from './pair-files.js';
import type { LanguagePair, PairCorpus, TextPair } from './pairs.js';
import { REPORT_FILE, type LeakCounts, type PairsReport, type SplitReport } from './parallel-report.js';

export interface CollectOptions {
  languages: LanguagePair;
  train: readonly PairCorpus[];
  /** Given sets, kept to the character. Undefined: held out of `train`. */
  validation: PairCorpus | undefined;
  test: PairCorpus | undefined;
  /** More pairs that training must not see. */
  exclude: readonly PairCorpus[];
  heldOut: HoldOutCounts;
  splitSalt: string;
  cleaning: CleaningOptions;
  /** Jaccard threshold of near-duplicates; 1: only equal texts. */
  nearDuplicate: number;
  strict: boolean;
  onProgress: (progress: { pairs: number; kept: number }) => void;
}

const CANDIDATES_FILE = 'candidates.jsonl';
const PROGRESS_EVERY = 1000;
/** Characters of a side in a given set: more is no sentence, and what is done to each would take memory without end. */
const MOST_CHARACTERS = 1_000_000;
/** More kinds than this, and the column holds something else. */
const MOST_KINDS = 1000;

/** File of a split within the stage's directory. */
export const pairsFile = (split: SplitName): string => `${split}.jsonl`;

/** Fills `directory` with `train.jsonl`, `validation.jsonl`, `test.jsonl` and `report.json`. */
export async function collectPairs(directory: string, options: CollectOptions): Promise<void> {
  const { languages, train, heldOut, nearDuplicate } = options;
  const given = { validation: await readGiven(options.validation), test: await readGiven(options.test) };
  const excluded = (await Promise.all(options.exclude.map(readGiven))).flatMap((pairs) => pairs ?? []);
  const wanted = { validation: given.validation ? 0 : heldOut.validation, test: given.test ? 0 : heldOut.test };
  const holdOut = createHoldOut(wanted, options.splitSalt);
  const cleaner = createPairCleaner(languages, options.cleaning, options.strict);
  const candidatesFile = join(directory, CANDIDATES_FILE);
  const kept = await cleanAll(options, candidatesFile, cleaner, holdOut);

  const forbidden = [...(given.validation ?? []), ...(given.test ?? []), ...excluded];
  const leaks = createLeakDetector(nearDuplicate, [...forbidden, ...holdOut.candidates()]);
  forbidden.forEach((pair) => leaks.add(pair));
  const chosen = holdOut.choose(leaks);
  const held = { validation: given.validation ?? chosen.validation, test: given.test ?? chosen.test };

  const splits = {
    validation: await writeSplit(directory, 'validation', held.validation, options.validation?.label ?? 'held out'),
    test: await writeSplit(directory, 'test', held.test, options.test?.label ?? 'held out'),
  };
  const { leaked, report: trainReport } = await writeTraining(directory, candidatesFile, leaks, [...chosen.validation, ...chosen.test], train);
  await rm(candidatesFile);
  if (trainReport.pairs === 0) nothingLeft(train, kept);
  const report: PairsReport = {
    languages,
    corpora: train.map(({ label }) => label),
    malformed: malformedOf(train),
    notes: [...train, options.validation, options.test, ...options.exclude].flatMap((corpus) => corpus?.pairs.notes ?? []),
    cleaning: cleaner.counts(),
    leaks: leaked,
    splits: { train: trainReport, ...splits },
  };
  await writeDurably(join(directory, REPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
}

async function readGiven(corpus: PairCorpus | undefined): Promise<TextPair[] | undefined> {
  if (corpus === undefined) return undefined;
  const pairs: TextPair[] = [];
  for await (const pair of corpus.pairs) {
    for (const side of ['source', 'target'] as const) {
      const length = pair[side].length;
      const problem = length > MOST_CHARACTERS ? `has ${length} characters` : normaliseText(pair[side]) === '' ? 'is empty' : undefined;
      if (problem === undefined) continue;
      throw new XMoEError('data', `${pair.place}: the ${side} ${problem}`, {
        op: 'prepareParallel',
        hint: `mend or remove the pair: ${corpus.label} is a given set and taken as it is`,
      });
    }
    pairs.push(pair);
  }
  return pairs;
}

/** Cleaned training pairs go to `path` and are offered to be held out. Returns their number. */
async function cleanAll(
  { train, onProgress }: CollectOptions,
  path: string,
  cleaner: ReturnType<typeof createPairCleaner>,
  holdOut: ReturnType<typeof createHoldOut>,
): Promise<number> {
  const writer = await createPairWriter(path);
  let [read, kept] = [0, 0];
  try {
    for (const corpus of train) {
      for await (const pair of corpus.pairs) {
        if (++read % PROGRESS_EVERY === 0) onProgress({ pairs: read, kept });
        const cleaned = cleaner.clean(pair);
        if (cleaned === undefined) continue;
        kept++;
        holdOut.offer(cleaned);
        if (holdOut.offered.size > MOST_KINDS) tooManyKinds(pair);
        await writer.write({ ...cleaned, place: undefined });
      }
    }
    await writer.finish();
  } finally {
    await writer.abandon();
  }
  onProgress({ pairs: read, kept });
  if (kept === 0) nothingLeft(train, read);
  return kept;
}

const identity = ({ source, target }: StoredPair): number => hashText53(`${source}\0${target}`);

/** What of the candidates is not held out and not like anything that is. */
async function writeTraining(
  directory: string,
  candidatesFile: string,
  leaks: LeakDetector,
  heldOut: readonly TextPair[],
  train: readonly PairCorpus[],
): Promise<{ leaked: LeakCounts; report: SplitReport }> {
  const own = new Set(heldOut.map(identity));
  const counts = { equal: 0, near: 0 };
  const examples: Record<'equal' | 'near', DroppedPair[]> = { equal: [], near: [] };
  function* rest(): Generator<StoredPair> {
    let line = 0;
    for (const stored of readPairFile(candidatesFile)) {
      line++;
      if (own.has(identity(stored))) continue;
      const pair = { ...stored, place: `kept pair ${line}` };
      const match = leaks.find(pair);
      if (match === undefined) yield stored;
      else {
        counts[match]++;
        if (examples[match].length < KEPT_EXAMPLES) examples[match].push(exampleOf(pair));
      }
    }
  }
  const report = await writeSplit(directory, 'train', rest(), train.map(({ label }) => label).join(', '));
  return { leaked: { ...counts, examples }, report };
}

async function writeSplit(directory: string, name: SplitName, pairs: Iterable<StoredPair>, from: string): Promise<SplitReport> {
  const writer: PairWriter = await createPairWriter(join(directory, pairsFile(name)));
  const byKind: Record<string, number> = {};
  let [count, characters] = [0, 0];
  try {
    for (const pair of pairs) {
      await writer.write(pair);
      count++;
      characters += pair.source.length + pair.target.length;
      byKind[pair.kind ?? ''] = (byKind[pair.kind ?? ''] ?? 0) + 1;
    }
    await writer.finish();
  } finally {
    await writer.abandon();
  }
  return { from, pairs: count, characters, byKind };
}

function malformedOf(corpora: readonly PairCorpus[]): PairsReport['malformed'] {
  const summaries = corpora.flatMap(({ pairs }) => pairs.malformed ?? []);
  return { count: summaries.reduce((sum, { count }) => sum + count, 0), first: summaries.flatMap(({ first }) => first) };
}

function nothingLeft(train: readonly PairCorpus[], before: number): never {
  throw new XMoEError('data', `no pairs are left to train on, of ${before} in ${train.map(({ label }) => label).join(', ')}`, {
    op: 'prepareParallel',
    hint: 'loosen the cleaning, hold out fewer pairs, or check that the sides are in the languages named',
  });
}

function tooManyKinds(pair: TextPair): never {
  throw new XMoEError('data', `more than ${MOST_KINDS} kinds of pairs, the latest "${pair.kind}" at ${pair.place}`, {
    op: 'prepareParallel',
    hint: 'the third column does not hold kinds: name the fields of source and target without a kind',
  });
}
