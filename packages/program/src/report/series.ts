// Turns rows into the points of charts: smoothing, thinning, cumulative sums. Not chart specifications (charts.ts).
import { createSmoother, type RoutingRow, type StepRow } from '@xmoe/train';

/** More points than this cannot be told apart in a chart, and would only make the file large. */
const MOST_POINTS = 300;

export interface Point {
  step: number;
  value: number;
  series: string;
}

/** `value` of each row with a finite one, thinned by averaging neighbours. */
export function pointsOf(rows: readonly StepRow[], series: string, value: (row: StepRow) => number | undefined): Point[] {
  const all = rows.flatMap((row) => {
    const y = value(row);
    return y !== undefined && Number.isFinite(y) ? [{ step: row.step, value: y, series }] : [];
  });
  return thin(all);
}

/**
 * As {@link pointsOf}, smoothed before it is thinned: the mean of a forward and a backward moving average, so that a steep
 * curve is not shown late. The window follows the length of the run.
 */
export function smoothedPoints(rows: readonly StepRow[], series: string, value: (row: StepRow) => number): Point[] {
  const finite = rows.filter((row) => Number.isFinite(value(row)));
  const decay = Math.max(0, 1 - 40 / Math.max(finite.length, 1)) * 0.98;
  const forward = finite.map(((smooth) => (row: StepRow) => smooth(value(row)))(createSmoother(decay)));
  const backward = [...finite].reverse().map(((smooth) => (row: StepRow) => smooth(value(row)))(createSmoother(decay))).reverse();
  return thin(finite.map(({ step }, i) => ({ step, value: (forward[i]! + backward[i]!) / 2, series })));
}

/** The running total of `value`. */
export function cumulativePoints(rows: readonly StepRow[], series: string, value: (row: StepRow) => number | undefined): Point[] {
  let total = 0;
  const all = rows.map((row) => {
    const y = value(row) ?? 0;
    total += Number.isFinite(y) ? y : 0;
    return { step: row.step, value: total, series };
  });
  return every(all);
}

/** One series per layer. */
export function layerPoints(rows: readonly StepRow[], names: readonly string[], value: (row: StepRow) => number[] | undefined): Point[] {
  return names.flatMap((name, layer) => pointsOf(rows, name, (row) => value(row)?.[layer]));
}

/** The names of the MoE layers: those of the last routing row, else numbered. */
export function layerNames(steps: readonly StepRow[], routing: readonly RoutingRow[]): string[] {
  const last = routing.at(-1);
  const count = Math.max(last?.load.length ?? 0, ...steps.slice(-1).map((row) => row.expertsPerToken?.length ?? 0));
  return Array.from({ length: count }, (_, layer) => last?.layers?.[layer] ?? `layer ${layer + 1}`);
}

function thin(points: readonly Point[]): Point[] {
  const size = Math.ceil(points.length / MOST_POINTS);
  if (size <= 1) return [...points];
  const out: Point[] = [];
  for (let i = 0; i < points.length; i += size) {
    const group = points.slice(i, i + size);
    const value = group.reduce((sum, point) => sum + point.value, 0) / group.length;
    out.push({ ...group[Math.floor(group.length / 2)]!, value });
  }
  return out;
}

/** Thins a running total, which must not be averaged, and keeps its end. */
function every(points: readonly Point[]): Point[] {
  const size = Math.ceil(points.length / MOST_POINTS);
  return points.filter((_, i) => i % size === 0 || i === points.length - 1);
}
