// What BLEU and chrF have in common: counts per line that can be added up, and a score from the sums. Adding up other lines
// is all that resampling needs.
import { alignReferences, type References } from './references.js';

/** The release of sacreBLEU whose numbers and signatures these are. */
export const SACREBLEU_VERSION = '2.6.0';

export interface MetricScore {
  /** `BLEU`, `chrF2`, `chrF2++`. */
  readonly name: string;
  /** 0 … 100. */
  readonly score: number;
}

/** What a signature says beside the metric's own settings. */
export interface SignatureContext {
  /** References per hypothesis; −1: it varies. */
  readonly references: number;
  /** Bootstrap samples and seed, when there were any. */
  readonly bootstrap?: { readonly samples: number; readonly seed: number };
}

export interface Metric<Score extends MetricScore> {
  /** Numbers per line. */
  readonly width: number;
  /** The counts of one line against its references. */
  count(hypothesis: string, references: readonly string[]): number[];
  /** The score of added-up counts. */
  scoreOf(counts: readonly number[]): Score;
  /** The settings as sacreBLEU writes them. */
  signature(context: SignatureContext): string;
}

/** A score with the settings that it depends on. */
export type SignedScore<Score extends MetricScore> = Score & { readonly signature: string };

/** Score of all lines together. Throws when hypotheses and references do not match up. */
export function scoreCorpus<Score extends MetricScore>(
  metric: Metric<Score>,
  hypotheses: readonly string[],
  references: References,
): SignedScore<Score> {
  const { counts, references: number } = countCorpus(metric, hypotheses, references);
  const sums = new Array<number>(metric.width).fill(0);
  for (const line of counts) for (let i = 0; i < sums.length; i++) sums[i] += line[i];
  return { ...metric.scoreOf(sums), signature: metric.signature({ references: number }) };
}

/** The counts of every line, and the number of references (−1: it varies). */
export function countCorpus<Score extends MetricScore>(
  metric: Metric<Score>,
  hypotheses: readonly string[],
  references: References,
): { counts: number[][]; references: number } {
  const { perHypothesis, count } = alignReferences(hypotheses, references);
  return { counts: hypotheses.map((line, i) => metric.count(line, perHypothesis[i])), references: count };
}

/** `nrefs:1|case:mixed|…|version:2.6.0`. */
export function writeSignature({ references, bootstrap }: SignatureContext, settings: Readonly<Record<string, string | number>>): string {
  const parts = [
    ['nrefs', references === -1 ? 'var' : references],
    ...(bootstrap === undefined ? [] : [['bs', bootstrap.samples], ['seed', bootstrap.seed]]),
    ...Object.entries(settings),
    ['version', SACREBLEU_VERSION],
  ];
  return parts.map(([name, value]) => `${name}:${value}`).join('|');
}

/** `value` with `digits` decimals as Python writes it: exact ties go to the even digit. */
export function formatFixed(value: number, digits: number): string {
  const scaled = value * 10 ** digits;
  const tie = (value * 2 ** (digits + 1)) % 1 === 0 && Math.abs(scaled % 1) === 0.5;
  return tie ? ((2 * Math.round(scaled / 2)) / 10 ** digits).toFixed(digits) : value.toFixed(digits);
}
