// Trains a byte-level BPE vocabulary on texts (Sennrich et al., ACL 2016; bytes as in GPT-2). Counts distinct pre-tokens
// once, then keeps pair counts up to date merge by merge. Deterministic: it depends on the counts, not on the order.
import { XMoEError } from '@xmoe/core';
import { alphabetOrder } from './byte-alphabet.js';
import { createBytePairTokenizer, type BytePairTokenizer } from './byte-pair-tokenizer.js';
import { createPairCounts } from './pair-counts.js';
import { MAXIMUM_VOCABULARY } from './pair-merger.js';
import { detachedCopy, forEachPreToken } from './pre-tokens.js';
import { END_OF_TEXT } from './tokenizer.js';

export interface TrainBpeOptions {
  /** Tokens wanted, the 256 bytes and the special tokens included. 257 is plain bytes with the end of text. */
  vocabularySize: number;
  /** Pairs seen less often are not merged. Default 2. */
  minFrequency?: number;
  /** More special tokens after {@link END_OF_TEXT}; they take the last ids. */
  specialTokens?: readonly string[];
  /** Told about every hundredth merge and the last one. */
  onProgress?: (mergesDone: number, mergesWanted: number) => void;
}

/**
 * A tokenizer trained on `texts`. Ids: 256 bytes in GPT-2's order, merges by rank, then the special tokens. Ties go to
 * the pair with the lower left id, then the lower right id. A small corpus may run out of pairs: the vocabulary is then
 * smaller than asked for (see `vocabularySize` of the result).
 */
export function trainBpe(texts: Iterable<string>, options: TrainBpeOptions): BytePairTokenizer {
  const special = [...new Set([END_OF_TEXT, ...(options.specialTokens ?? [])])];
  const mergesWanted = options.vocabularySize - 256 - special.length;
  if (!Number.isInteger(mergesWanted) || mergesWanted < 0 || options.vocabularySize > MAXIMUM_VOCABULARY) {
    throw new XMoEError('value', `vocabularySize is ${options.vocabularySize}`, {
      op: 'trainBpe',
      hint: `pass an integer from ${256 + special.length} (bytes and special tokens) to ${MAXIMUM_VOCABULARY}`,
    });
  }
  const tokens = alphabetOrder.map((byte) => Uint8Array.of(byte));
  const merges = learnMerges(countPreTokens(texts), tokens, mergesWanted, options);
  const utf8 = new TextEncoder();
  const specialTokens = new Map(special.map((name, index) => [name, tokens.length + index]));
  return createBytePairTokenizer({
    kind: 'byte-level-bpe',
    tokens: [...tokens, ...special.map((name) => utf8.encode(name))],
    merges,
    specialTokens,
  });
}

function countPreTokens(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  let documents = 0;
  for (const text of texts) {
    documents++;
    forEachPreToken(text, (piece) => {
      const count = counts.get(piece);
      if (count === undefined) counts.set(detachedCopy(piece), 1);
      else counts.set(piece, count + 1);
    });
  }
  if (counts.size === 0) {
    throw new XMoEError('data', `no text to train on (${documents} documents, all empty)`, {
      op: 'trainBpe',
      hint: 'pass at least one text that is not empty',
    });
  }
  return counts;
}

/** Appends a token per merge to `tokens`; returns the (left, right, merged) triples. */
function learnMerges(
  words: ReadonlyMap<string, number>,
  tokens: Uint8Array[],
  mergesWanted: number,
  { minFrequency = 2, onProgress }: TrainBpeOptions,
): Int32Array {
  const merges: number[] = [];
  const pairs = createPairCounts(words);
  for (let done = 1; done <= mergesWanted; done++) {
    const pair = pairs.takeMostFrequent(Math.max(1, minFrequency));
    if (pair === undefined) break;
    const merged = tokens.length;
    tokens.push(Uint8Array.from([...tokens[pair.left], ...tokens[pair.right]]));
    merges.push(pair.left, pair.right, merged);
    pairs.merge(pair.left, pair.right, merged);
    if (done % 100 === 0 || done === mergesWanted) onProgress?.(done, mergesWanted);
  }
  return Int32Array.from(merges);
}
