// Unigram and bigram perplexity on the tokens a language model is scored on: what it must beat to have learned anything.
import { XMoEError } from '@xmoe/core';
import { countNgrams, fitBigramModel, forEachToken } from './bigram-model.js';
import type { TokenSplit } from './token-split.js';

export interface NgramBaselines {
  /** exp of the mean negative log-likelihood per token, as for the model. */
  readonly unigramPerplexity: number;
  readonly bigramPerplexity: number;
  /** The same in bits per UTF-8 byte of text; NaN when they are not known. */
  readonly unigramBitsPerByte: number;
  readonly bigramBitsPerByte: number;
  /** Tokens counted for training. */
  readonly trainTokens: number;
  /** Tokens scored: those of the test split after the first, which nothing predicts, up to the limit. */
  readonly scoredTokens: number;
}

export interface NgramBaselineOptions {
  /** Count only the first tokens of a large split. Default 2^26, which takes at most a few GiB. */
  maxTrainTokens?: number;
  /** Score only the first so many targets: as many as the model was scored on. Default: all. */
  maxScoredTokens?: number;
  /** UTF-8 bytes of text behind the scored tokens. Default: the whole split's when all of it is scored, else unknown. */
  scoredBytes?: number;
}

/** Bits per byte of a summed negative log-likelihood in nats over a text of `bytes` UTF-8 bytes. */
export function bitsPerByte(negativeLogLikelihood: number, bytes: number): number {
  return bytes > 0 ? negativeLogLikelihood / Math.LN2 / bytes : Number.NaN;
}

/**
 * Unigram with add-one smoothing and bigram by interpolated modified Kneser–Ney, fitted on `train` and scored on the same
 * targets as `evaluationWindows(test, …)`. Throws when either has fewer than 2 tokens or an id beyond the vocabulary.
 */
export function ngramBaselines(
  train: TokenSplit,
  test: TokenSplit,
  vocabularySize: number,
  { maxTrainTokens = 2 ** 26, maxScoredTokens = Infinity, scoredBytes }: NgramBaselineOptions = {},
): NgramBaselines {
  if (!(maxScoredTokens >= 1)) {
    throw new XMoEError('value', `maxScoredTokens is ${maxScoredTokens}`, { op: 'ngramBaselines', hint: 'pass a number from 1' });
  }
  const trainTokens = Math.min(train.length, maxTrainTokens);
  const testTokens = Math.min(test.length, maxScoredTokens + 1);
  for (const [split, length] of [
    [train, trainTokens],
    [test, testTokens],
  ] as const) {
    checkSplit(split, length, vocabularySize);
  }
  const counts = countNgrams(train, trainTokens, vocabularySize);
  const bigram = fitBigramModel(counts);
  let unigramLoss = 0;
  let bigramLoss = 0;
  let previous = -1;
  forEachToken(test, testTokens, (token) => {
    if (previous >= 0) {
      unigramLoss -= Math.log((counts.tokens[token] + 1) / (counts.total + vocabularySize));
      bigramLoss -= Math.log(bigram(previous, token));
    }
    previous = token;
  });
  const scoredTokens = testTokens - 1;
  const bytes = scoredBytes ?? (testTokens === test.length ? test.bytes : Number.NaN);
  return {
    unigramPerplexity: Math.exp(unigramLoss / scoredTokens),
    bigramPerplexity: Math.exp(bigramLoss / scoredTokens),
    unigramBitsPerByte: bitsPerByte(unigramLoss, bytes),
    bigramBitsPerByte: bitsPerByte(bigramLoss, bytes),
    trainTokens,
    scoredTokens,
  };
}

function checkSplit(split: TokenSplit, length: number, vocabularySize: number): void {
  if (length < 2) {
    throw new XMoEError('data', `the ${split.name} split has ${split.length} tokens: nothing to predict`, {
      op: 'ngramBaselines',
      hint: 'raise its share of the documents, or give more text',
    });
  }
  forEachToken(split, length, (token, position) => {
    if (token >= 0 && token < vocabularySize) return;
    throw new XMoEError('data', `token ${position} of the ${split.name} split is ${token}, of ${vocabularySize}`, {
      op: 'ngramBaselines',
      hint: 'the data were prepared with another tokenizer: prepare them again',
    });
  });
}
