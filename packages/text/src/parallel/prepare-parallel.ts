// Prepares parallel text in three stages, each in a directory named by all that decides it: cleaned pairs, the joint
// vocabulary, encoded shards. A stage that is there is not made again, so a changed setting redoes only what depends on it.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { writeDurably } from '../data/durable-files.js';
import { TOKENIZER_FILE } from '../data/shard-index.js';
import { loadTokenizer } from '../tokenizers/load-tokenizer.js';
import { tokenizerToJson } from '../tokenizers/tokenizer-json.js';
import { trainBpe } from '../tokenizers/train-bpe.js';
import type { BytePairTokenizer } from '../tokenizers/byte-pair-tokenizer.js';
import { resolveCleaning, type CleaningOptions } from './clean-pairs.js';
import { collectPairs, pairsFile, type CollectOptions } from './collect-pairs.js';
import { encodePairs } from './encode-pairs.js';
import type { HoldOutCounts } from './hold-out.js';
import { readPairFile } from './pair-files.js';
import type { LanguagePair, PairCorpus } from './pairs.js';
import { REPORT_FILE, type PairsReport, type ParallelReport } from './parallel-report.js';
import { BEGIN_OF_SENTENCE, PADDING, translationTokensOf } from './special-tokens.js';
import { runStage, type Stage } from './stage-directory.js';

export interface PrepareParallelOptions {
  /** Folder for the stages' directories. */
  root: string;
  languages: LanguagePair;
  train: readonly PairCorpus[];
  /** Given sets, kept to the character. Without them, pairs are held out of `train`. */
  validation?: PairCorpus;
  test?: PairCorpus;
  /** More sets that training must not see. */
  exclude?: readonly PairCorpus[];
  /** Pairs to hold out where no set is given. Default 1,000 each. */
  heldOut?: HoldOutCounts;
  /** Another choice of held-out pairs. */
  splitSalt?: string;
  cleaning?: CleaningOptions;
  /** n-gram overlap (Jaccard) from which a pair is a near-duplicate; 1: only equal texts. Default 0.7. */
  nearDuplicate?: number;
  /** A joint vocabulary to learn from the training split, or a tokenizer with the three special tokens. */
  vocabulary: VocabularyOptions | BytePairTokenizer;
  /** Most tokens of a side in training, end of sentence included. Default 256. */
  maximumTokens?: number;
  /** Throw at malformed rows and empty sides instead of counting them. */
  strict?: boolean;
  onProgress?: (progress: ParallelProgress) => void;
}

export interface VocabularyOptions {
  /** Tokens wanted: 256 bytes, merges, three special tokens. */
  readonly size: number;
  /** Pairs of symbols seen less often are not merged. Default 2. */
  readonly minFrequency?: number;
}

/** Told while a stage is made. */
export type ParallelProgress =
  | { readonly stage: 'pairs'; readonly pairs: number; readonly kept: number }
  | { readonly stage: 'vocabulary'; readonly merges: number; readonly of: number }
  | { readonly stage: 'shards'; readonly pairs: number; readonly of: number };

export interface PreparedParallel {
  /** What `openParallelDataset` takes. */
  readonly directory: string;
  readonly report: ParallelReport;
  /** `pairs`, `vocabulary` (none for a given tokenizer) and `shards`. */
  readonly stages: readonly Stage[];
}

/** Characters of training text that the vocabulary is learned from; of more text, every n-th pair. */
const VOCABULARY_CHARACTERS = 200_000_000;

/** Makes or finds all stages. A failure leaves nothing half-written. */
export async function prepareParallel(options: PrepareParallelOptions): Promise<PreparedParallel> {
  const { root, maximumTokens = 256 } = options;
  const collect = collectOptions(options);
  checkOptions(options, collect, maximumTokens);
  const pairs = await runStage({
    root, name: 'pairs', inputs: collectInputs(collect), fill: (directory) => collectPairs(directory, collect),
  });
  const report = JSON.parse(await readFile(join(pairs.directory, REPORT_FILE), 'utf8')) as PairsReport;
  const vocabulary = await obtainVocabulary(options, pairs, report);
  const { tokenizer } = vocabulary;
  const shards = await runStage({
    root,
    name: 'shards',
    inputs: { version: ENCODE_VERSION, pairs: pairs.fingerprint, tokenizer: tokenizer.hash, maximumTokens },
    fill: (directory, fingerprint) =>
      encodePairs(directory, fingerprint, {
        pairsDirectory: pairs.directory,
        report,
        languages: options.languages,
        tokenizer,
        maximumTokens,
        onProgress: (done, of) => options.onProgress?.({ stage: 'shards', pairs: done, of }),
      }),
  });
  return {
    directory: shards.directory,
    report: JSON.parse(await readFile(join(shards.directory, REPORT_FILE), 'utf8')) as ParallelReport,
    stages: [pairs, ...(vocabulary.stage ? [vocabulary.stage] : []), shards],
  };
}

function collectOptions(options: PrepareParallelOptions): CollectOptions {
  const { languages, train, validation, test, exclude = [], onProgress } = options;
  return {
    languages,
    train,
    validation,
    test,
    exclude,
    heldOut: options.heldOut ?? { validation: 1000, test: 1000 },
    splitSalt: options.splitSalt ?? '',
    cleaning: resolveCleaning(options.cleaning ?? {}),
    nearDuplicate: options.nearDuplicate ?? 0.7,
    strict: options.strict ?? false,
    onProgress: ({ pairs, kept }) => onProgress?.({ stage: 'pairs', pairs, kept }),
  };
}

/** Changed when cleaning or holding out gives other pairs for the same inputs. */
const COLLECT_VERSION = 2;
/** Changed when encoding does. */
const ENCODE_VERSION = 2;

function collectInputs(options: CollectOptions): Record<string, string | number> {
  const { languages, train, validation, test, exclude, heldOut, splitSalt, cleaning, nearDuplicate, strict } = options;
  const fingerprints = (corpora: readonly PairCorpus[]) => corpora.map(({ fingerprint }) => fingerprint).join(' ');
  return {
    version: COLLECT_VERSION,
    languages: `${languages.source} ${languages.target}`,
    train: fingerprints(train),
    validation: validation?.fingerprint ?? `held out ${heldOut.validation}`,
    test: test?.fingerprint ?? `held out ${heldOut.test}`,
    exclude: fingerprints(exclude),
    splitSalt,
    cleaning: JSON.stringify(Object.entries(cleaning).sort()),
    nearDuplicate,
    strict: String(strict),
  };
}

/** The given tokenizer, or one learned from the training split. */
async function obtainVocabulary(
  { root, vocabulary, onProgress }: PrepareParallelOptions,
  pairs: Stage,
  report: PairsReport,
): Promise<{ tokenizer: BytePairTokenizer; stage?: Stage }> {
  if (!('size' in vocabulary)) return { tokenizer: vocabulary };
  const { size, minFrequency = 2 } = vocabulary;
  const stage = await runStage({
    root,
    name: 'vocabulary',
    inputs: { version: 1, pairs: pairs.fingerprint, size, minFrequency },
    async fill(directory) {
      const tokenizer = trainBpe(trainingTexts(pairs.directory, report), {
        vocabularySize: size,
        minFrequency,
        specialTokens: [PADDING, BEGIN_OF_SENTENCE],
        onProgress: (merges, of) => onProgress?.({ stage: 'vocabulary', merges, of }),
      });
      await writeDurably(join(directory, TOKENIZER_FILE), tokenizerToJson(tokenizer));
    },
  });
  return { tokenizer: await loadTokenizer(stage.directory), stage };
}

function* trainingTexts(directory: string, { splits: { train } }: PairsReport): Generator<string> {
  const stride = Math.ceil(train.characters / VOCABULARY_CHARACTERS);
  let number = 0;
  for (const { source, target } of readPairFile(join(directory, pairsFile('train')))) {
    if (number++ % stride !== 0) continue;
    yield source;
    yield target;
  }
}

function checkOptions({ vocabulary }: PrepareParallelOptions, { train, heldOut, nearDuplicate, languages }: CollectOptions, maximumTokens: number): void {
  const fail = (problem: string, hint: string): never => {
    throw new XMoEError('value', problem, { op: 'prepareParallel', hint });
  };
  if (train.length === 0) fail('no training corpus', 'pass at least one corpus');
  if (languages.source === languages.target) fail(`source and target language are both "${languages.source}"`, 'name two languages');
  for (const [name, count] of Object.entries(heldOut)) {
    if (!Number.isSafeInteger(count) || count < 0) fail(`${name} pairs to hold out: ${count}`, 'pass an integer from 0');
  }
  if (!(nearDuplicate > 0 && nearDuplicate <= 1)) fail(`nearDuplicate is ${nearDuplicate}`, 'pass a number above 0, up to 1');
  if (!Number.isSafeInteger(maximumTokens) || maximumTokens < 2) fail(`maximumTokens is ${maximumTokens}`, 'pass an integer from 2');
  if (!('size' in vocabulary)) translationTokensOf(vocabulary);
}
