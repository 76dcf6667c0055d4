// Word-by-word translation with a dictionary learned from the same training pairs as the model: each source word becomes the
// target word that IBM model 1 finds most likely, in the order of the source; unknown words are copied.
import { XMoEError } from '@xmoe/core';
import type { Baseline } from './baseline.js';
import { trainLexicalModel, type NumberedPair } from './lexical-model.js';
import { createWordSplitter, joinWords } from './words.js';

export interface DictionaryOptions {
  sourceLanguage: string;
  targetLanguage: string;
  /** Rounds of expectation maximisation. Default 5. */
  iterations?: number;
  /** Pairs learned from, spread over all given ones. Default 30,000. */
  maximumPairs?: number;
}

export interface DictionaryBaseline extends Baseline {
  /** Source words it knows. */
  readonly words: number;
}

/** Longer sides say little about single words and cost their product. */
const MOST_WORDS = 50;

/** A dictionary of `pairs`. Throws when there is none. */
export function trainDictionary(
  pairs: readonly { readonly source: string; readonly target: string }[],
  { sourceLanguage, targetLanguage, iterations = 5, maximumPairs = 30_000 }: DictionaryOptions,
): DictionaryBaseline {
  const splitSource = createWordSplitter(sourceLanguage);
  const splitTarget = createWordSplitter(targetLanguage);
  const sourceWords = createNumbering(1);
  const targetWords = createNumbering(0);
  const stride = Math.max(1, Math.ceil(pairs.length / maximumPairs));
  const numbered: NumberedPair[] = [];
  let capitals = 0;
  for (let i = 0; i < pairs.length; i += stride) {
    const source = splitSource(pairs[i].source);
    const target = splitTarget(pairs[i].target);
    if (source.length === 0 || target.length === 0 || Math.max(source.length, target.length) > MOST_WORDS) continue;
    if (/^\p{Lu}/u.test(pairs[i].target)) capitals++;
    numbered.push({ source: Int32Array.from(source, sourceWords.add), target: Int32Array.from(target, targetWords.add) });
  }
  if (numbered.length === 0) {
    throw new XMoEError('data', `no pair to learn a dictionary from (${pairs.length} given, none with words up to ${MOST_WORDS})`, {
      op: 'trainDictionary', hint: 'pass the pairs of the training split',
    });
  }
  const model = trainLexicalModel(numbered, sourceWords.size(), iterations);
  const begin = capitals * 2 > numbered.length ? (line: string) => line.replace(/^\p{Ll}/u, (letter) => letter.toUpperCase()) : (line: string) => line;
  return {
    name: 'word-by-word dictionary',
    words: sourceWords.size(),
    translate(line) {
      const translated = splitSource(line).map((word) => {
        const best = model.best(sourceWords.find(word));
        return best < 0 ? word : targetWords.nameOf(best);
      });
      return begin(joinWords(translated));
    },
  };
}

function createNumbering(first: number) {
  const numbers = new Map<string, number>();
  const names: string[] = [];
  return {
    add(word: string): number {
      let number = numbers.get(word);
      if (number === undefined) {
        numbers.set(word, (number = first + names.length));
        names.push(word);
      }
      return number;
    },
    /** −1 for a word that was not added. */
    find: (word: string): number => numbers.get(word) ?? -1,
    nameOf: (number: number): string => names[number - first],
    size: () => names.length,
  };
}
