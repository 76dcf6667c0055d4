// The batch that training, validation and decoding share, and what a split of prepared pairs offers. No implementation.
import type { BytePairTokenizer } from '../tokenizers/byte-pair-tokenizer.js';
import type { SplitName } from '../data/splits.js';
import type { LanguagePair } from './pairs.js';
import type { ParallelIndex } from './parallel-index.js';
import type { TranslationTokens } from './special-tokens.js';

/** Padded rows of pairs, row-major. B = `rows`, S = `sourceLength`, T = `targetLength`. */
export interface ParallelBatch {
  readonly rows: number;
  readonly sourceLength: number;
  readonly targetLength: number;
  /** [B, S]: source ids, end of sentence, padding. */
  readonly source: Int32Array;
  /** [B, S]: 1 at real tokens, 0 at padding. */
  readonly sourceMask: Uint8Array;
  /** [B]: real tokens of each source, its end of sentence included. */
  readonly sourceLengths: Int32Array;
  /** [B, T]: begin of sentence, target ids, padding. */
  readonly targetInput: Int32Array;
  /** [B, T]: target ids, end of sentence, then −1. */
  readonly targetOutput: Int32Array;
  /** [B, T]: 1 at real tokens of both, 0 at padding. */
  readonly targetMask: Uint8Array;
  /** [B]: tokens to predict in each row, the end of sentence included. */
  readonly targetLengths: Int32Array;
  /** Sum of `sourceLengths`. */
  readonly sourceTokens: number;
  /** Sum of `targetLengths`: what a token target and a mean loss count. */
  readonly targetTokens: number;
  /** [B]: number of each pair in its split. */
  readonly indices: Int32Array;
}

/** Token ids of one pair, each ended by the end-of-sentence token. */
export interface TokenPair {
  readonly source: Int32Array;
  readonly target: Int32Array;
}

/** The pairs of `train`, `validation` or `test`, in random access. */
export interface ParallelSplit {
  readonly name: string;
  /** Number of pairs. */
  readonly pairs: number;
  /** Tokens of all sources and targets, end-of-sentence tokens included. */
  readonly sourceTokens: number;
  readonly targetTokens: number;
  /** Per pair: tokens of the source and of the target, end of sentence included. */
  readonly sourceLengths: Uint32Array;
  readonly targetLengths: Uint32Array;
  /** Names of the kinds in all splits; empty string for pairs without one. */
  readonly kinds: readonly string[];
  /** Per pair: position in `kinds`. */
  readonly kindOf: Uint16Array;
  /** Throws outside 0 … pairs − 1. */
  read(index: number): TokenPair;
}

export interface ParallelDataset {
  readonly directory: string;
  readonly index: ParallelIndex;
  readonly languages: LanguagePair;
  readonly tokenizer: BytePairTokenizer;
  readonly tokens: TranslationTokens;
  split(name: SplitName): ParallelSplit;
  /** The texts of a pair: the source in normal form, the target of a given (not held-out) set exactly as in its file. */
  text(name: SplitName, index: number): { source: string; target: string };
  /** Closes the files; reading afterwards throws. */
  close(): void;
}

/** Where a sampler stands; safe to write as JSON. */
export interface ParallelSamplerState {
  readonly epoch: number;
  /** Batches taken in this epoch. */
  readonly position: number;
  // What the position refers to; checked when restoring.
  readonly seed: number;
  readonly pairs: number;
  /** Hash of the pairs' lengths, the token budget and the shapes. */
  readonly plan: string;
}

export interface ParallelSampler {
  next(): ParallelBatch;
  state(): ParallelSamplerState;
  /** Goes on from `state`, bit for bit. Throws when it belongs to other data, another seed or another budget. */
  restore(state: ParallelSamplerState): void;
  /** Whole and partial epochs so far. */
  readonly epochs: number;
  /** Batches of one epoch. */
  readonly batchesPerEpoch: number;
  /** Distinct (B, S, T) of an epoch, the most frequent first: what a recorded step is recorded for. */
  readonly shapes: readonly BatchShape[];
  /** Share of batch places that hold a real token, sources and targets together. */
  readonly efficiency: number;
  /** Pairs left out because a side is longer than the longest row. */
  readonly skipped: number;
}

export interface BatchShape {
  readonly rows: number;
  readonly sourceLength: number;
  readonly targetLength: number;
  /** Batches of this shape in an epoch. */
  readonly batches: number;
}

/** How pairs are grouped. */
export interface BatchShapeOptions {
  /** Most places of the larger side of a batch, padding included: B · max(S, T) ≤ maxTokens. */
  maxTokens: number;
  /** Row lengths that occur. Default: 8, 12, 16, 24, 32, 48, 64 … up to `maximumLength`. */
  lengths?: readonly number[];
  /** Longest row, end of sentence included. Longer pairs are skipped and counted. Default: the longest pair. */
  maximumLength?: number;
  /** Most rows of a batch. Default: no limit. */
  maxRows?: number;
}

export interface ParallelSamplerOptions extends BatchShapeOptions {
  split: ParallelSplit;
  tokens: TranslationTokens;
  /** An integer ≥ 0. */
  seed: number;
}

export interface EvaluationBatchOptions extends BatchShapeOptions {
  split: ParallelSplit;
  tokens: TranslationTokens;
  /** Pair numbers to take, default all. */
  indices?: ArrayLike<number>;
}
