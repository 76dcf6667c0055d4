// Hypotheses and references brought side by side, and checked. No scoring.
import { MetricsError } from './errors.js';

/**
 * One reference per hypothesis, or several streams of references, each as long as the hypotheses. `null` in a stream: no
 * further reference for that hypothesis.
 */
export type References = readonly string[] | readonly (readonly (string | null)[])[];

/** The references of each hypothesis, and their number: −1 when it varies. */
export interface AlignedReferences {
  readonly perHypothesis: readonly (readonly string[])[];
  readonly count: number;
}

/** Throws when there is nothing to score, when the numbers of lines differ, or when a hypothesis has no reference. */
export function alignReferences(hypotheses: readonly string[], references: References): AlignedReferences {
  const fail = (problem: string, hint: string): never => {
    throw new MetricsError(problem, { op: 'score', hint });
  };
  if (hypotheses.length === 0) fail('no hypotheses', 'pass at least one line');
  const streams = isOneStream(references) ? [references] : references;
  if (streams.length === 0) fail('no references', 'pass at least one stream of references');
  hypotheses.forEach((line, i) => {
    if (typeof line !== 'string') fail(`hypothesis ${i} is ${line === null ? 'null' : `a ${typeof line}`}`, 'pass strings');
  });
  streams.forEach((stream, number) => {
    if (stream.length === hypotheses.length) return;
    const name = streams.length === 1 ? 'the references have' : `reference stream ${number} has`;
    fail(`${name} ${stream.length} lines and there are ${hypotheses.length} hypotheses`, 'line n must be a translation of the same sentence in all of them');
  });
  const perHypothesis = hypotheses.map((_, i) => {
    const lines = streams.map((stream) => stream[i]).filter((line) => line !== null && line !== undefined);
    if (lines.length === 0) fail(`hypothesis ${i} has no reference`, 'give at least one that is not null');
    return lines;
  });
  const counts = new Set(perHypothesis.map((lines) => lines.length));
  return { perHypothesis, count: counts.size === 1 ? perHypothesis[0].length : -1 };
}

function isOneStream(references: References): references is readonly string[] {
  return references.length > 0 && typeof references[0] === 'string';
}
