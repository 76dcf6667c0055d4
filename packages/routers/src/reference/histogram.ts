// Histograms of whole numbers and their quantiles on plain arrays: the twin of quantile-histogram.ts.

/** Bins of each expert. */
export const HISTOGRAM_BINS = 1000;

/** What histograms of scores are of: logits for sigmoid, logarithms for softmax; ends of their bins. */
export const SCORE_RANGES = { sigmoid: { lowest: -16, highest: 16 }, softmax: { lowest: -20, highest: 0 } } as const;
export type ScoreName = keyof typeof SCORE_RANGES;

/** The bin of a place counted in bins; those outside are in the first and the last. */
export function binOf(place: number): number {
  return Math.min(HISTOGRAM_BINS - 1, Math.max(0, Math.floor(place)));
}

/** Where in its bins the share k/N of a row lies, in bins from the left, with a fraction; null for a row without counts. */
export function quantilePlace(counts: readonly number[], k: number, experts: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const wanted = (total * k) / experts;
  let before = 0;
  let bin = 0;
  while (before + counts[bin]! < wanted) before += counts[bin++]!;
  return bin + (wanted - before) / Math.max(1, counts[bin]!);
}

/** The rows of flat counts [N, bins]. */
export function histogramRows(counts: readonly number[], experts: number): number[][] {
  return Array.from({ length: experts }, (_, expert) => counts.slice(expert * HISTOGRAM_BINS, (expert + 1) * HISTOGRAM_BINS));
}
