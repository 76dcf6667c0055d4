// BLEU (Papineni et al., ACL 2002) with the tokenizers, smoothing and effective order of sacreBLEU (Post, WMT 2018), for a
// corpus and for a sentence.
import { MetricsError } from './errors.js';
import { formatFixed, scoreCorpus, writeSignature, type Metric, type MetricScore, type SignedScore } from './metric.js';
import type { References } from './references.js';
import { tokenizerOf, type Tokenize, type TokenizerName } from './tokenizers.js';
import { trimEnd } from './white-space.js';

/** What an n-gram order without a match counts as (Chen and Cherry, WMT 2014, methods 3, 1, 2). */
export type Smoothing = 'exp' | 'floor' | 'add-k' | 'none';

export interface BleuOptions {
  /** Default `13a`. */
  tokenizer?: TokenizerName;
  /** Default `exp`. */
  smoothing?: Smoothing;
  /** For `floor` (default 0.1) and `add-k` (default 1). */
  smoothingValue?: number;
  lowercase?: boolean;
  /** Stop at the longest order that the hypothesis has. Default false; true for a sentence. */
  effectiveOrder?: boolean;
  /** Longest n-grams. Default 4. */
  maxOrder?: number;
}

export interface BleuScore extends MetricScore {
  /** Percent, per order. */
  readonly precisions: readonly number[];
  /** Matches and n-grams of the hypotheses, per order. */
  readonly counts: readonly number[];
  readonly totals: readonly number[];
  readonly brevityPenalty: number;
  /** Words of the hypotheses and of the closest references. */
  readonly hypothesisLength: number;
  readonly referenceLength: number;
}

const VALUES: Readonly<Record<Smoothing, number | undefined>> = { exp: undefined, floor: 0.1, 'add-k': 1, none: undefined };
/** Logarithm of a precision of 0. */
const LOG_ZERO = -9_999_999_999;

/** BLEU with these settings. Throws on a setting that there is not. */
export function createBleu(options: BleuOptions = {}): Metric<BleuScore> {
  const { smoothing = 'exp', lowercase = false, effectiveOrder = false, maxOrder = 4, tokenizer = '13a' } = options;
  if (!Object.hasOwn(VALUES, smoothing)) {
    throw new MetricsError(`unknown smoothing "${smoothing}"`, { op: 'bleu', hint: `known: ${Object.keys(VALUES).join(', ')}` });
  }
  if (!Number.isInteger(maxOrder) || maxOrder < 1) {
    throw new MetricsError(`maxOrder is ${maxOrder}`, { op: 'bleu', hint: 'pass an integer from 1' });
  }
  const tokenize = tokenizerOf(tokenizer);
  const value = options.smoothingValue ?? VALUES[smoothing];
  const words = (line: string): string[] => tokenize(trimEnd(lowercase ? line.toLowerCase() : line));
  return {
    width: 2 + 2 * maxOrder,
    count: (hypothesis, references) => countLine(hypothesis, references, words, maxOrder),
    scoreOf: (counts) => bleuOf(counts, maxOrder, smoothing, value ?? 0, effectiveOrder),
    signature: (context) =>
      writeSignature(context, {
        case: lowercase ? 'lc' : 'mixed',
        eff: effectiveOrder ? 'yes' : 'no',
        tok: tokenizer,
        smooth: VALUES[smoothing] === undefined ? smoothing : `${smoothing}[${formatFixed(value!, 2)}]`,
      }),
  };
}

/** BLEU of a corpus. */
export function corpusBleu(hypotheses: readonly string[], references: References, options: BleuOptions = {}): SignedScore<BleuScore> {
  return scoreCorpus(createBleu(options), hypotheses, references);
}

/** BLEU of one sentence against one reference or several. */
export function sentenceBleu(hypothesis: string, references: string | readonly string[], options: BleuOptions = {}): SignedScore<BleuScore> {
  const streams = (typeof references === 'string' ? [references] : references).map((line) => [line]);
  return scoreCorpus(createBleu({ effectiveOrder: true, ...options }), [hypothesis], streams);
}

/** As sacreBLEU prints it: `BLEU = 31.24 65.1/38.2/25.0/17.0 (BP = 0.976 ratio = 0.977 hyp_len = 100 ref_len = 102)`. */
export function formatBleu({ score, precisions, brevityPenalty, hypothesisLength, referenceLength }: BleuScore, digits = 2): string {
  const ratio = referenceLength === 0 ? 0 : hypothesisLength / referenceLength;
  return (
    `BLEU = ${formatFixed(score, digits)} ${precisions.map((precision) => formatFixed(precision, 1)).join('/')} ` +
    `(BP = ${formatFixed(brevityPenalty, 3)} ratio = ${formatFixed(ratio, 3)} hyp_len = ${hypothesisLength} ref_len = ${referenceLength})`
  );
}

/** Hypothesis length, closest reference length, matches per order, n-grams per order. */
function countLine(hypothesis: string, references: readonly string[], words: Tokenize, maxOrder: number): number[] {
  const found = words(hypothesis);
  const wanted = references.map(words);
  const counts = [found.length, closestLength(found.length, wanted.map(({ length }) => length))];
  const totals: number[] = [];
  for (let order = 1; order <= maxOrder; order++) {
    const allowed = new Map<string, number>();
    for (const reference of wanted) {
      for (const [gram, count] of ngramCounts(reference, order)) allowed.set(gram, Math.max(allowed.get(gram) ?? 0, count));
    }
    let matches = 0;
    for (const [gram, count] of ngramCounts(found, order)) matches += Math.min(count, allowed.get(gram) ?? 0);
    counts.push(matches);
    totals.push(Math.max(0, found.length - order + 1));
  }
  return [...counts, ...totals];
}

function ngramCounts(words: readonly string[], order: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let start = 0; start + order <= words.length; start++) {
    const gram = order === 1 ? words[start] : words.slice(start, start + order).join(' '); // words hold no space
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}

/** The nearest; of two as near, the shorter. */
function closestLength(length: number, lengths: readonly number[]): number {
  const distance = (other: number): number => Math.abs(other - length);
  return lengths.reduce((best, other) =>
    distance(other) < distance(best) || (distance(other) === distance(best) && other < best) ? other : best,
  );
}

function bleuOf(counts: readonly number[], maxOrder: number, smoothing: Smoothing, value: number, effectiveOrder: boolean): BleuScore {
  const [hypothesisLength, referenceLength] = counts;
  const matches = counts.slice(2, 2 + maxOrder);
  const totals = counts.slice(2 + maxOrder);
  const precisions = new Array<number>(maxOrder).fill(0);
  const brevityPenalty = brevityOf(hypothesisLength, referenceLength);
  const result = { name: 'BLEU', score: 0, precisions, counts: matches, totals, brevityPenalty, hypothesisLength, referenceLength };
  if (matches.every((count) => count === 0)) return result;
  let halving = 1;
  let orders = maxOrder;
  for (let n = 0; n < maxOrder; n++) {
    if (smoothing === 'add-k' && n > 0) {
      matches[n] += value;
      totals[n] += value;
    }
    if (totals[n] === 0) break;
    if (effectiveOrder) orders = n + 1;
    if (matches[n] > 0) precisions[n] = (100 * matches[n]) / totals[n];
    else if (smoothing === 'exp') precisions[n] = 100 / ((halving *= 2) * totals[n]);
    else if (smoothing === 'floor') precisions[n] = (100 * value) / totals[n];
  }
  let logarithms = 0;
  for (const precision of precisions.slice(0, orders)) logarithms += precision === 0 ? LOG_ZERO : Math.log(precision);
  return { ...result, score: brevityPenalty * Math.exp(logarithms / orders) };
}

function brevityOf(hypothesisLength: number, referenceLength: number): number {
  if (hypothesisLength >= referenceLength) return 1;
  return hypothesisLength > 0 ? Math.exp(1 - referenceLength / hypothesisLength) : 0;
}
