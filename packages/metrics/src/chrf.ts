// chrF and chrF++ (Popović, WMT 2015 and 2017) as sacreBLEU computes them: F-score of character n-grams, with word n-grams in
// the ++ form.
import { MetricsError } from './errors.js';
import { scoreCorpus, writeSignature, type Metric, type MetricScore, type SignedScore } from './metric.js';
import type { References } from './references.js';
import { splitWords, withoutSpace } from './white-space.js';

export interface ChrfOptions {
  /** Longest character n-grams. Default 6. */
  characterOrder?: number;
  /** Longest word n-grams. Default 0; 2 is chrF++. */
  wordOrder?: number;
  /** How much more recall weighs than precision. Default 2. */
  beta?: number;
  lowercase?: boolean;
  /** Count white space as characters. */
  whitespace?: boolean;
  /** Average the orders' F-scores with a small constant for empty ones, instead of leaving these out. */
  epsilonSmoothing?: boolean;
}

export type ChrfScore = MetricScore;

const EPSILON = 1e-16;
const PUNCTUATION = new Set('!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~');

/** chrF with these settings. */
export function createChrf(options: ChrfOptions = {}): Metric<ChrfScore> {
  const { characterOrder = 6, wordOrder = 0, beta = 2, lowercase = false, whitespace = false, epsilonSmoothing = false } = options;
  for (const [name, value, least] of [['characterOrder', characterOrder, 1], ['wordOrder', wordOrder, 0], ['beta', beta, 1]] as const) {
    if (Number.isInteger(value) && value >= least) continue;
    throw new MetricsError(`${name} is ${value}`, { op: 'chrf', hint: `pass an integer from ${least}` });
  }
  const grams = (line: string): Map<string, number>[] => ngramsOf(lowercase ? line.toLowerCase() : line, characterOrder, wordOrder, whitespace);
  const fScore = (counts: readonly number[]): number => fScoreOf(counts, beta, epsilonSmoothing);
  return {
    width: 3 * (characterOrder + wordOrder),
    count(hypothesis, references) {
      const found = grams(hypothesis);
      let best: number[] = [];
      let bestScore = -1;
      for (const reference of references) {
        const counts = grams(reference).flatMap((wanted, order) => overlap(found[order], wanted));
        const score = fScore(counts);
        if (score > bestScore) [best, bestScore] = [counts, score];
      }
      return best;
    },
    scoreOf: (counts) => ({ name: `chrF${beta}${'+'.repeat(wordOrder)}`, score: fScore(counts) }),
    signature: (context) =>
      writeSignature(context, {
        case: lowercase ? 'lc' : 'mixed',
        eff: epsilonSmoothing ? 'no' : 'yes',
        nc: characterOrder,
        nw: wordOrder,
        space: whitespace ? 'yes' : 'no',
      }),
  };
}

/** chrF of a corpus; `{ wordOrder: 2 }` for chrF++. */
export function corpusChrf(hypotheses: readonly string[], references: References, options: ChrfOptions = {}): SignedScore<ChrfScore> {
  return scoreCorpus(createChrf(options), hypotheses, references);
}

/** chrF of one sentence against one reference or several. */
export function sentenceChrf(hypothesis: string, references: string | readonly string[], options: ChrfOptions = {}): SignedScore<ChrfScore> {
  const streams = (typeof references === 'string' ? [references] : references).map((line) => [line]);
  return scoreCorpus(createChrf(options), [hypothesis], streams);
}

/** Counts of the n-grams of each order: characters first, then words. */
function ngramsOf(line: string, characterOrder: number, wordOrder: number, whitespace: boolean): Map<string, number>[] {
  const characters = Array.from(whitespace ? line : withoutSpace(line));
  const orders: Map<string, number>[] = [];
  for (let order = 1; order <= characterOrder; order++) orders.push(countGrams(characters, order, ''));
  if (wordOrder === 0) return orders;
  const words = wordsOf(line);
  for (let order = 1; order <= wordOrder; order++) orders.push(countGrams(words, order, ' '));
  return orders;
}

function countGrams(items: readonly string[], order: number, separator: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (let start = 0; start + order <= items.length; start++) {
    let gram = items[start];
    for (let i = start + 1; i < start + order; i++) gram += separator + items[i];
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}

/** Words with one ASCII punctuation mark taken off: the last character, or else the first. */
function wordsOf(line: string): string[] {
  return splitWords(line).flatMap((word) => {
    const characters = Array.from(word);
    if (characters.length === 1) return [word];
    const last = characters.at(-1)!;
    if (PUNCTUATION.has(last)) return [word.slice(0, -1), last];
    return PUNCTUATION.has(word[0]) ? [word[0], word.slice(1)] : [word];
  });
}

/** n-grams of the hypothesis (0 where the reference has none), of the reference, and in both. */
function overlap(found: ReadonlyMap<string, number>, wanted: ReadonlyMap<string, number>): [number, number, number] {
  let [inFound, inWanted, inBoth] = [0, 0, 0];
  for (const count of wanted.values()) inWanted += count;
  for (const [gram, count] of found) {
    inFound += count;
    inBoth += Math.min(count, wanted.get(gram) ?? 0);
  }
  return [wanted.size === 0 ? 0 : inFound, inWanted, inBoth];
}

function fScoreOf(counts: readonly number[], beta: number, epsilonSmoothing: boolean): number {
  const factor = beta ** 2;
  const orders = counts.length / 3;
  let [smoothed, precisions, recalls, effective] = [0, 0, 0, 0];
  for (let order = 0; order < orders; order++) {
    const [found, wanted, both] = counts.slice(3 * order, 3 * order + 3);
    const precision = found > 0 ? both / found : EPSILON;
    const recall = wanted > 0 ? both / wanted : EPSILON;
    const weighted = factor * precision + recall;
    smoothed += weighted > 0 ? ((1 + factor) * precision * recall) / weighted : EPSILON;
    if (found === 0 || wanted === 0) continue;
    precisions += precision;
    recalls += recall;
    effective++;
  }
  if (epsilonSmoothing) return (100 * smoothed) / orders;
  if (effective === 0 || precisions + recalls === 0) return 0;
  const [precision, recall] = [precisions / effective, recalls / effective];
  return (100 * (1 + factor) * precision * recall) / (factor * precision + recall);
}
