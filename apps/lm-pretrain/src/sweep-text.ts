// The table and the page of a sweep.
import { alignedTable } from '@xmoe/program';
import { seriesChart, tablePage } from '@xmoe/program/experiments';
import type { SweptPoint } from './commands/sweep.js';

const COLUMNS: readonly { title: string; of(point: SweptPoint): string }[] = [
  { title: 'perplexity', of: ({ figures }) => figures.perplexity.toFixed(3) },
  { title: 'nats', of: ({ figures }) => figures.loss.toFixed(4) },
  { title: 'experts wanted', of: ({ figures }) => figures.wantedEvaluation?.toFixed(2) ?? '–' },
  { title: 'kept', of: ({ figures }) => figures.keptEvaluation?.toFixed(2) ?? '–' },
  { title: 'executed / dense', of: ({ figures }) => figures.executedEvaluation?.toFixed(3) ?? '–' },
  { title: 'dropped', of: ({ figures }) => (figures.dropEvaluation === undefined ? '–' : `${(100 * figures.dropEvaluation).toFixed(1)} %`) },
  { title: 'load max/mean', of: ({ figures }) => figures.loadEvaluation?.toFixed(2) ?? '–' },
  { title: '', of: (point) => (point.leaks ? 'leaks from later tokens' : '') },
];

/** As text, a line for each point. */
export function sweepTable(evaluations: readonly SweptPoint[]): string {
  return `${alignedTable(['', ...COLUMNS.map(({ title }) => title)], evaluations.map((point) => [`${point.run}: ${point.how}`, ...COLUMNS.map(({ of }) => of(point))]))}\n`;
}

/** As a page, with a line in the chart for each run and kind of rule. */
export function sweepPage(evaluations: readonly SweptPoint[], split: string): Promise<string> {
  const seriesOf = ({ run, point, leaks }: SweptPoint): string => `${run}, ${point.threshold !== undefined ? 'by threshold' : point.topK !== undefined ? 'by top-k' : 'as trained'}${leaks ? ', with capacity' : ''}`;
  const points = evaluations.flatMap((point) => (point.figures.executedEvaluation === undefined ? [] : [{ x: point.figures.executedEvaluation, y: point.figures.perplexity, series: seriesOf(point) }]));
  return tablePage({
    title: `Sweep over the ${split} split`,
    columns: [{ title: 'run' }, { title: 'evaluated' }, ...COLUMNS.map(({ title }) => ({ title, numeric: title !== '' }))],
    rows: evaluations.map((point) => [point.run, point.how, ...COLUMNS.map(({ of }) => of(point))]),
    charts: seriesChart({ id: 'sweep', title: 'Perplexity against executed FLOPs', caption: 'Lower is better, further left is cheaper. Executed: what the experts multiplied, over what dense layers would. With capacity, later tokens push earlier ones out: such scores leak.' },
      points, { x: 'expert FLOPs executed / dense', y: 'perplexity, logarithmic', logarithmicY: true }),
  });
}
