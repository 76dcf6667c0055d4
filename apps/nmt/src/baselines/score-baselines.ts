// BLEU and chrF2++ of the baselines on the pairs that a model is tested on.
import { bleuTokenizerFor, corpusBleu, corpusChrf } from '@xmoe/metrics';
import type { LanguagePair, ParallelDataset, SplitName } from '@xmoe/text';
import { createCopyBaseline, type Baseline } from './baseline.js';
import { trainDictionary } from './dictionary-baseline.js';

export interface BaselineScore {
  readonly name: string;
  readonly bleu: number;
  readonly chrf: number;
  /** What it made of each tested source. */
  readonly translations: readonly string[];
}

interface Texts {
  readonly source: string;
  readonly target: string;
}

/** Both baselines, the dictionary learned from `train`, on `test`. */
export function scoreBaselines(train: readonly Texts[], test: readonly Texts[], languages: LanguagePair): BaselineScore[] {
  const options = { sourceLanguage: languages.source, targetLanguage: languages.target };
  const references = test.map(({ target }) => target);
  return [createCopyBaseline(), trainDictionary(train, options)].map((baseline: Baseline) => {
    const translations = test.map(({ source }) => baseline.translate(source));
    return {
      name: baseline.name,
      bleu: corpusBleu(translations, references, { tokenizer: bleuTokenizerFor(languages.target) }).score,
      chrf: corpusChrf(translations, references, { wordOrder: 2 }).score,
      translations,
    };
  });
}

/** The texts of a split. */
export function textsOfSplit(dataset: ParallelDataset, split: SplitName): Texts[] {
  return Array.from({ length: dataset.split(split).pairs }, (_, pair) => dataset.text(split, pair));
}
