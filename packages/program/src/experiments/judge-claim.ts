// What a claim comes to at this size: one sentence, with the figure that it rests on. Judges rows, trains nothing.
import { estimateOf, FEWEST_PAIRS, isNoise, pairedDifference, type Estimate } from './statistics.js';
import type { Claim, Quality, Results, Row } from './experiment.js';

export type Verdict = 'holds' | 'does not hold' | 'inside the noise' | 'too few seeds' | 'not run';

export interface Judgement {
  readonly claim: string;
  readonly verdict: Verdict;
  /** The whole of it, for people. */
  readonly sentence: string;
  /** Of the quality, the first row's minus the second's. */
  readonly difference: Estimate | null;
}

/** The quality of a row by seed. */
export const qualitiesOf = (results: Results, row: Row, quality: Quality): (number | undefined)[] => results.figures(row).map((figures) => figures?.[quality.key]);

/** `−0.0123 ± 0.0045 nats (1.2 % of perplexity)` */
export function differenceText({ mean, error }: Estimate, { digits, unit, inOtherWords }: Quality): string {
  const number = `${mean < 0 ? '−' : '+'}${Math.abs(mean).toFixed(digits)}`;
  const other = inOtherWords ? ` (${inOtherWords(mean)})` : '';
  return `${number}${error === null ? '' : ` ± ${error.toFixed(digits)}`} ${unit}${other}`;
}

export function judgeClaim({ text, row, than, expect, within = 0 }: Claim, results: Results, quality: Quality): Judgement {
  const [own, others] = [qualitiesOf(results, row, quality), qualitiesOf(results, than, quality)];
  const difference = pairedDifference(own, others);
  const about = `${row.label} against ${than.label}`;
  if (!difference) return { claim: text, verdict: 'not run', sentence: `Not run yet: ${about}.`, difference: null };
  const seeds = `${difference.count} ${difference.count === 1 ? 'seed' : 'seeds'}${difference.count < own.length ? ` of ${own.length}` : ''}`;
  const figure = `${about}: ${differenceText(difference, quality)}, ${seeds}`;
  const say = (verdict: Verdict, words: string): Judgement => ({ claim: text, verdict, sentence: `${words}: ${figure}.`, difference });
  const noise = isNoise(difference);
  if (noise === null) return say('too few seeds', `Not decided, ${FEWEST_PAIRS} seeds at least are needed`);
  const worse = quality.lowerIsBetter ? difference.mean : -difference.mean;
  if (expect === 'better') {
    if (noise) return say('inside the noise', 'Inside the noise at this size');
    return worse < 0 ? say('holds', 'Holds at this size') : say('does not hold', 'Does not hold at this size');
  }
  const most = within * Math.abs(estimateOf(others.filter((value) => value !== undefined))?.mean ?? 0);
  if (worse <= most) return say('holds', noise ? 'Holds at this size, the difference is inside the noise' : 'Holds at this size');
  return noise ? say('inside the noise', 'Inside the noise at this size') : say('does not hold', 'Does not hold at this size');
}
