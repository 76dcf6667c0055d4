// Charts of experiments: points of named series on two axes, and steps of named series. Colours and sizes are those of reports of runs.
import type { Chart } from '../report/charts.js';

export interface SeriesPoint {
  readonly x: number;
  readonly y: number;
  readonly series: string;
}

export interface AxisTitles {
  readonly x: string;
  readonly y: string;
  /** Of the x axis. Default false. */
  readonly logarithmic?: boolean;
  /** Of the y axis. Default false. */
  readonly fromZero?: boolean;
  /** Of the y axis, for values some of which are many times others. Default false. */
  readonly logarithmicY?: boolean;
  /** Of numbers on the x axis, as d3 writes formats: `~s` for those that span powers of ten. */
  readonly format?: string;
}

const PALETTE = [1, 2, 3, 4, 5, 6, 7, 8].map((i) => `var(--series-${i})`);
const HEIGHT = 300;

/** A chart of connected points; undefined without any. */
export function seriesChart(facts: Pick<Chart, 'id' | 'title' | 'caption'>, points: readonly SeriesPoint[], titles: AxisTitles): Chart[] {
  if (points.length === 0) return [];
  const series = [...new Set(points.map((point) => point.series))];
  const scale = titles.logarithmic ? { type: 'log' as const } : { zero: false };
  const scaleY = titles.logarithmicY ? { type: 'log' as const } : { zero: titles.fromZero ?? false };
  const color = {
    field: 'series', type: 'nominal' as const,
    scale: { domain: series, range: series.map((_, i) => PALETTE[i % PALETTE.length]!) },
    legend: series.length > 1 ? { title: null, orient: 'top' as const, columns: 4, symbolType: 'stroke' as const, symbolStrokeWidth: 3, labelLimit: 0 } : null,
  };
  return [{
    ...facts,
    wide: true,
    spec: (width) => ({
      width,
      height: HEIGHT,
      data: { values: points.map((point) => ({ ...point })) },
      encoding: {
        x: { field: 'x', type: 'quantitative', title: titles.x, scale, axis: { grid: false, tickCount: width < 400 ? 4 : 6, ...(titles.format === undefined ? {} : { format: titles.format }) } },
        y: { field: 'y', type: 'quantitative', title: titles.y, scale: scaleY, axis: { tickCount: 6 } },
        color: { ...color, legend: color.legend && { ...color.legend, columns: columnsFor(series, width) } },
      },
      layer: [
        { mark: { type: 'line', strokeWidth: 2 } },
        ...(points.length <= MOST_MARKED ? [{ mark: { type: 'point' as const, filled: true, size: 45, opacity: 1 } }] : []),
      ],
    }),
  }];
}

/** As many columns of a legend as the longest name leaves room for. */
function columnsFor(series: readonly string[], width: number): number {
  const longest = series.reduce((most, name) => Math.max(most, name.length), 0);
  return Math.max(1, Math.min(4, Math.floor(width / (longest * LETTER_WIDTH + SYMBOL_WIDTH))));
}

/** Of labels of 12 pixels, with their symbols and gaps. */
const [LETTER_WIDTH, SYMBOL_WIDTH] = [7, 36];

/** Beyond so many points a line says it better. */
const MOST_MARKED = 150;
