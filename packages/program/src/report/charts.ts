// The charts of a report as Vega-Lite specifications. Colours are CSS variables, so that one SVG serves light and dark.
// Not rendering (render-chart.ts) and not data preparation (series.ts).
import type { TopLevelSpec } from 'vega-lite';
import type { Baseline, ReportData } from './report-data.js';
import { cumulativePoints, layerNames, layerPoints, pointsOf, smoothedPoints, type Point } from './series.js';

export interface Chart {
  id: string;
  title: string;
  /** What one sees and how to read it, one or two sentences. */
  caption: string;
  /** The specification for a plot of this width, pixels. */
  spec: (width: number) => TopLevelSpec;
  /** Whether it takes the whole row. */
  wide?: boolean;
}

const HEIGHT = 230;
/** Distinct to colour-blind eyes too; the values are in styles.ts, one set for light and one for dark. */
const PALETTE = [1, 2, 3, 4, 5, 6, 7, 8].map((i) => `var(--series-${i})`);

/** All charts that the data can fill. */
export function chartsOf(data: ReportData): Chart[] {
  const { steps, routing } = data;
  const layers = layerNames(steps, routing);
  return [
    lossChart(data),
    scoresChart(data),
    lineChart('learning-rate', 'Learning rate', 'The step size that the schedule gave at each step.', '~g',
      pointsOf(steps, 'learning rate', (row) => row.learningRate)),
    lineChart('gradient-norm', 'Gradient norm', 'Length of the whole gradient before clipping.', '.3~g',
      pointsOf(steps, 'gradient norm', (row) => row.gradientNorm)),
    lineChart('experts-per-token', 'Experts per token',
      'How many experts a token was routed to, mean per MoE layer, before capacity.', '.3~g',
      layerPoints(steps, layers, (row) => row.expertsPerToken)),
    lineChart('drop-rate', 'Drop rate', 'Share of the claims that found their expert full, per MoE layer.', '.0%',
      layerPoints(steps, layers, (row) => row.dropRate), true),
    countsChart(data, layers),
    loadChart(data, layers),
    lineChart('flops', 'Floating-point operations',
      'Running totals. Budgeted: what capacity allows for (γ · tokens · cost of an expert). Executed: what was computed.',
      '.2~s', [
        ...flopsPoints(data, 'budgeted', 'budgetedFlops'),
        ...flopsPoints(data, 'executed', 'executedFlops'),
      ]),
    lineChart('wall-clock', 'Wall-clock', 'Seconds spent in training steps, running total: read it beside the operations.', '.3~s',
      cumulativePoints(steps, 'seconds', (row) => row.seconds)),
  ].filter((chart) => chart !== undefined);
}

function flopsPoints({ steps }: ReportData, series: string, key: 'budgetedFlops' | 'executedFlops'): Point[] {
  return steps.some((row) => row[key] !== undefined) ? cumulativePoints(steps, series, (row) => row[key]) : [];
}

const stepAxis = {
  field: 'step',
  type: 'quantitative' as const,
  title: 'step',
  scale: { nice: false },
  axis: { grid: false, tickCount: 5, format: ',d' },
};

function colorOf(series: readonly string[]) {
  const range = series.map((_, i) => PALETTE[i % PALETTE.length]!);
  return {
    field: 'series',
    type: 'nominal' as const,
    scale: { domain: [...series], range },
    legend: series.length > 1 ? { title: null, orient: 'top' as const, columns: 4, symbolType: 'stroke' as const, symbolStrokeWidth: 3, labelLimit: 0 } : null,
  };
}

/** One line per series over the steps; undefined without points. */
function lineChart(id: string, title: string, caption: string, format: string, points: Point[], zero = false): Chart | undefined {
  if (points.length === 0) return undefined;
  const series = [...new Set(points.map((point) => point.series))];
  // More layers than colours: the colours come again with another dash.
  const dash = series.map((_, i) => (i < PALETTE.length ? [1, 0] : [4, 3]));
  return {
    id,
    title,
    caption,
    spec: (width) => ({
      width,
      height: HEIGHT,
      data: { values: points },
      mark: { type: 'line', strokeWidth: 2, interpolate: 'monotone' },
      encoding: {
        x: stepAxis,
        y: { field: 'value', type: 'quantitative', title: null, scale: { zero }, axis: { format, tickCount: 5 } },
        color: colorOf(series),
        ...(series.length > PALETTE.length
          ? { strokeDash: { field: 'series', type: 'nominal', scale: { domain: series, range: dash }, legend: null } }
          : {}),
      },
    }),
  };
}

function lossChart({ steps, evaluations, baselines }: ReportData): Chart | undefined {
  const raw = pointsOf(steps, 'each step', (row) => row.loss);
  const smooth = smoothedPoints(steps, 'training, smoothed', (row) => row.loss);
  const splits = [...new Set(evaluations.map((row) => row.split))];
  const measured = evaluations.filter((row) => Number.isFinite(row.loss)).map((row) => ({ step: row.step, value: row.loss, series: row.split }));
  if (raw.length + measured.length === 0) return undefined;
  const y = { field: 'value', type: 'quantitative' as const, title: 'loss (nats per token)', scale: { zero: false }, axis: { tickCount: 6 } };
  const color = colorOf(['training, smoothed', ...splits]);
  const line = (values: Point[]) => ({ data: { values }, mark: { type: 'line' as const, strokeWidth: 2.2 }, encoding: { x: stepAxis, y, color } });
  return {
    id: 'loss',
    title: 'Loss',
    caption: `Lower is better. Pale: every step.${baselines.length > 0 ? ' Dashed: what the simple baselines reach on the test tokens.' : ''}`,
    wide: true,
    spec: (width) => ({
      width,
      height: HEIGHT + 70,
      layer: [
        { data: { values: raw }, mark: { type: 'line', strokeWidth: 1, opacity: 0.38, color: PALETTE[0]! }, encoding: { x: stepAxis, y } },
        line(smooth),
        line(measured),
        { data: { values: measured }, mark: { type: 'point', filled: true, size: 45, opacity: 1 }, encoding: { x: stepAxis, y, color } },
        ...baselineLayers(baselines),
      ],
    }),
  };
}

/** How scores read; others keep their names. */
const SCORE_NAMES: Readonly<Record<string, string>> = { bleu: 'BLEU', chrf: 'chrF2++' };

function scoresChart({ evaluations }: ReportData): Chart | undefined {
  const points = evaluations.flatMap(({ step, scores }) =>
    Object.entries(scores ?? {}).map(([name, value]) => ({ step, value, series: SCORE_NAMES[name] ?? name })));
  if (points.length === 0) return undefined;
  const series = [...new Set(points.map((point) => point.series))];
  const y = { field: 'value', type: 'quantitative' as const, title: null, axis: { tickCount: 5 } };
  return {
    id: 'scores',
    title: 'Scores',
    caption: 'On validation pairs, translated greedily during training. Higher is better.',
    wide: true,
    spec: (width) => ({
      width,
      height: HEIGHT,
      data: { values: points },
      encoding: { x: stepAxis, y, color: colorOf(series) },
      layer: [{ mark: { type: 'line', strokeWidth: 2 } }, { mark: { type: 'point', filled: true, size: 45, opacity: 1 } }],
    }),
  };
}

/** Dashed rules at the baselines' losses, with their names. */
function baselineLayers(baselines: readonly Baseline[]) {
  const values = baselines
    .filter(({ perplexity }) => perplexity > 0 && Number.isFinite(perplexity))
    .map(({ name, perplexity }) => ({ name, value: Math.log(perplexity) }));
  if (values.length === 0) return [];
  const y = { field: 'value', type: 'quantitative' as const };
  return [
    { data: { values }, mark: { type: 'rule' as const, strokeDash: [5, 4], color: 'var(--muted)' }, encoding: { y } },
    {
      data: { values },
      mark: { type: 'text' as const, align: 'right' as const, baseline: 'bottom' as const, dy: -3, color: 'var(--muted)', fontSize: 11.5 },
      encoding: { y, x: { value: 'width' as const }, text: { field: 'name', type: 'nominal' as const } },
    },
  ];
}

/** Most experts for which a number fits into each cell. */
const MOST_NUMBERED = 8;

function loadChart({ routing }: ReportData, layers: readonly string[]): Chart | undefined {
  const last = routing.at(-1);
  if (!last || last.load.length === 0) return undefined;
  const cells = last.load.flatMap((experts, layer) =>
    experts.map((share, expert) => ({ layer: layers[layer]!, expert: expert + 1, times: share * experts.length })),
  );
  const experts = Math.max(...last.load.map((row) => row.length));
  const most = Math.max(2, ...cells.map((cell) => cell.times));
  return {
    id: 'expert-load',
    title: 'Expert load',
    caption: `At step ${last.step}. 1 is an equal share of the layer's claims; 2 is twice as much. Empty cells are idle experts.`,
    wide: true,
    spec: cellsSpec(cells, { column: 'expert', value: 'times', legend: '× equal share', most, format: '.2~g', numberFormat: '.2f', values: legendValues(most), layers, columns: experts }),
  };
}

/** How the tokens of the last step that was looked at spread over numbers of experts: the mean alone hides it. */
function countsChart({ routing }: ReportData, layers: readonly string[]): Chart | undefined {
  const last = routing.findLast(({ tokensByCount }) => tokensByCount !== undefined);
  if (!last || last.tokensByCount!.length === 0) return undefined;
  const all = last.tokensByCount!;
  const columns = Math.max(...all.map((counts) => counts.length));
  const cells = all.flatMap((counts, layer) => {
    const tokens = counts.reduce((sum, count) => sum + count, 0);
    return counts.map((count, experts) => ({ layer: layers[layer] ?? `layer ${layer + 1}`, experts, share: tokens > 0 ? count / tokens : 0 }));
  });
  // A column that no token is in says nothing; most often that is the first.
  const shown = cells.filter(({ experts }) => cells.some((cell) => cell.experts === experts && cell.share > 0));
  const most = Math.max(0.01, ...shown.map(({ share }) => share));
  return {
    id: 'experts-per-token-spread',
    title: 'Tokens by number of experts',
    caption: `At step ${last.step}: the share of a layer's tokens that took so many experts, before capacity.`,
    wide: true,
    spec: cellsSpec(shown, { column: 'experts', value: 'share', legend: 'share of tokens', most, format: '.0%', numberFormat: '.0%', values: [0, 0.25, 0.5, 0.75, 1].map((part) => part * most), layers, columns }),
  };
}

interface CellsOptions {
  /** Names of fields; that of the column is the title of the axis. */
  readonly column: string;
  readonly value: string;
  readonly legend: string;
  readonly most: number;
  readonly format: string;
  readonly numberFormat: string;
  readonly values: readonly number[];
  readonly layers: readonly string[];
  /** How many there are. */
  readonly columns: number;
}

/** A row of cells for each layer, in more colour the greater the value. */
function cellsSpec(cells: readonly object[], { column, value, legend, most, format, numberFormat, values, layers, columns }: CellsOptions): Chart['spec'] {
  const x = { field: column, type: 'ordinal' as const, title: column, axis: { labelAngle: 0, labelOverlap: 'greedy' as const, domain: false, ticks: false, grid: false } };
  const y = { field: 'layer', type: 'ordinal' as const, sort: [...layers], title: null, axis: { domain: false, ticks: false, grid: false } };
  const opacity = {
    field: value,
    type: 'quantitative' as const,
    scale: { domain: [0, most], range: [0.04, 1] },
    legend: { title: legend, orient: 'top' as const, symbolType: 'square' as const, symbolSize: 160, symbolFillColor: 'var(--series-1)', symbolStrokeWidth: 0, format, values: [...values] },
  };
  return (width) => ({
    width,
    height: Math.max(60, Math.min(360, 34 * layers.length)),
    data: { values: [...cells] },
    encoding: { x, y },
    layer: [
      { mark: { type: 'rect', color: 'var(--series-1)', stroke: 'var(--card)', strokeWidth: columns > 32 ? 1 : 2, cornerRadius: 3 }, encoding: { opacity } },
      ...(columns <= MOST_NUMBERED ? [numbersLayer(value, most, numberFormat)] : []),
    ],
  });
}

function legendValues(most: number): number[] {
  return [0, 0.5, 1, 2, 4, 8, 16, 32].filter((value) => value <= most);
}

/** The figure in each cell, readable on pale and on full colour. */
function numbersLayer(field: string, most: number, format: string) {
  return {
    mark: { type: 'text' as const, fontSize: 11.5 },
    encoding: {
      text: { field, type: 'quantitative' as const, format },
      color: { condition: { test: `datum.${field} > ${most * 0.55}`, value: 'var(--on-series)' }, value: 'var(--ink)' },
    },
  };
}
