// Histograms of whole numbers and their quantiles on plain arrays: the twin of quantile-histogram.ts.

/** Bins of each expert. */
export const HISTOGRAM_BINS = 1000;

/** What histograms of scores are of: logits for sigmoid, logarithms for softmax; ends of their bins. */
export const SCORE_RANGES = { sigmoid: { lowest: -16, highest: 16 }, softmax: { lowest: -20, highest: 0 } } as const;
export type ScoreName = keyof typeof SCORE_RANGES;

/** The bin of a place counted in bins; those outside are in the first and the last. */
export function binOf(place: number, bins = HISTOGRAM_BINS): number {
  return Math.min(bins - 1, Math.max(0, Math.floor(place)));
}

/** Where in its bins the share k/N of a row lies, in bins from the left, with a fraction; null for a row without counts. */
export function quantilePlace(counts: readonly number[], k: number, experts: number): number | null {
  return placeOf(counts, (counts.reduce((sum, count) => sum + count, 0) * k) / experts);
}

/** As {@link quantilePlace}, of so many `wanted` counts. */
export function placeOf(counts: readonly number[], wanted: number): number | null {
  if (counts.every((count) => count === 0)) return null;
  let before = 0;
  let bin = 0;
  while (before + counts[bin]! < wanted) before += counts[bin++]!;
  return bin + (wanted - before) / Math.max(1, counts[bin]!);
}

/** The rows of flat counts [N, bins]. */
export function histogramRows(counts: readonly number[], experts: number): number[][] {
  return Array.from({ length: experts }, (_, expert) => counts.slice(expert * HISTOGRAM_BINS, (expert + 1) * HISTOGRAM_BINS));
}

/** How much of what a forecast missed its trend takes over. */
export const TREND_SHARE = 0.3;

/** The forecast after an update found `found`: as `nextForecast` of router-state.ts. */
export function nextForecast({ value, trend }: { readonly value: number; readonly trend: number }, found: number, updates: number, decay: number): { value: number; trend: number } {
  const correction = (found - value) * (1 - keptShare(updates, decay));
  const moved = trend + (updates > 0 ? TREND_SHARE : 0) * correction;
  return { value: value + correction + moved, trend: moved };
}

/** How much of a moving average stays after so many updates. */
export function keptShare(updates: number, decay: number): number {
  return updates > 0 ? Math.min(decay, (1 + updates) / (10 + updates)) : 0;
}
