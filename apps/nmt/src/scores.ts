// BLEU and chrF2++ of translations, with their signatures. The metrics are @xmoe/metrics.
import { nearestName, XMoEError } from '@xmoe/core';
import {
  bleuTokenizerFor, corpusBleu, corpusChrf, createBleu, createChrf, tokenizerNames,
  type BleuScore, type ChrfScore, type Metric, type MetricScore, type SignedScore, type TokenizerName,
} from '@xmoe/metrics';
import type { Config } from './config.js';

export interface Scores {
  bleu: SignedScore<BleuScore>;
  /** chrF2++: word order 2. */
  chrf: SignedScore<ChrfScore>;
}

/** The tokenizer of BLEU: the one of the configuration, or sacreBLEU's choice for the target language, which may be unknown. */
export function bleuTokenizerOf({ data, train }: Config): TokenizerName {
  return train.bleuTokenizer ?? bleuTokenizerFor(data.targetLanguage);
}

/** The tokenizer called `name`, or by default the one for a target language. */
export function readTokenizerName(name: string | undefined, language: string): TokenizerName {
  if (name === undefined) return bleuTokenizerFor(language);
  const known = tokenizerNames.find((other) => other === name);
  if (known) return known;
  const near = nearestName(name, tokenizerNames);
  throw new XMoEError('value', `BLEU has no tokenizer ${JSON.stringify(name)}${near ? `, did you mean ${near}?` : ''}`, { hint: `one of ${tokenizerNames.join(', ')}` });
}

export function scoreTranslations(hypotheses: readonly string[], references: readonly string[], tokenizer: TokenizerName): Scores {
  return { bleu: corpusBleu(hypotheses, references, { tokenizer }), chrf: corpusChrf(hypotheses, references, { wordOrder: 2 }) };
}

/** The metrics of {@link scoreTranslations}, for resampling. */
export function metricsOf(tokenizer: TokenizerName): [name: string, metric: Metric<MetricScore>][] {
  return [['BLEU', createBleu({ tokenizer })], ['chrF2++', createChrf({ wordOrder: 2 })]];
}
