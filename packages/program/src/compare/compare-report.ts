// The page and the text of a comparison.
import { formatCompact } from '@xmoe/train';
import { seriesChart } from '../experiments/charts-of-rows.js';
import { differenceCell, estimateText, PAIRING_TEXT } from '../experiments/figure-text.js';
import type { Chart } from '../report/charts.js';
import { escapeHtml, section, table } from '../report/html.js';
import { page, renderCharts } from '../report/page.js';
import { alignedTable } from '../terminal.js';
import { wrapText } from '../wrap-text.js';
import type { ComparedGroup, Comparison } from './compare-runs.js';
import { nameOf } from './group-runs.js';
import { FLOPS_COLUMN, type LayerAtEnd, type LossPoint } from './read-runs.js';

/** For a terminal, with the columns of these keys. */
export function comparisonText({ quality, columns, groups, baseline, notes, scored }: Comparison, keys: readonly string[]): string {
  const compared = groups.length > 1;
  const few = columns.filter(({ key }) => keys.includes(key) || key === FLOPS_COLUMN.key);
  const rows = groups.map((group) => [
    group.label, runsCell(group), estimateText(group.quality, quality, '–'), ...(compared ? [differenceCell(group, quality)] : []),
    ...few.map((column) => estimateText(group.figures[column.key] ?? null, column, '–')),
  ]);
  const head = ['', 'runs', quality.title, ...(compared ? ['difference'] : []), ...few.map(({ title }) => title)];
  const what = `${scored === null ? 'No run has a result' : `Test of ${scored}`}, mean ± standard error over seeds${compared ? `; differences from ${baseline}, paired by seed (≈ inside the noise, ? too few seeds)` : ''}`;
  return [wrapText(what, 100), alignedTable(head, rows), ...notes.map((note) => wrapText(note, 100)), ''].join('\n');
}

/** `3`, or `2 of 3` where some have no result. */
const runsCell = ({ runs, seeds }: ComparedGroup): string => (seeds.length === runs.length ? String(runs.length) : `${seeds.length} of ${runs.length}`);

/** Lines that eyes can tell apart. */
const MOST_DRAWN = 8;

/** The groups that charts show: the baseline and the best of the others, in their order. */
export function drawnGroups({ groups, quality, baseline }: Comparison): ComparedGroup[] {
  if (groups.length <= MOST_DRAWN) return [...groups];
  const worse = ({ label, quality: own }: ComparedGroup): number => (label === baseline ? -Infinity : own === null ? Infinity : quality.lowerIsBetter ? own.mean : -own.mean);
  const best = new Set(groups.toSorted((a, b) => worse(a) - worse(b)).slice(0, MOST_DRAWN));
  return groups.filter((group) => best.has(group));
}

/** For a browser. */
export async function comparisonPage(comparison: Comparison): Promise<string> {
  const { program, groups, runs, scored, notes } = comparison;
  const charts = await renderCharts(chartsOf(comparison));
  const finished = runs.filter(({ state }) => state === 'finished').length;
  return page({
    title: `${program} compare: ${groups.length === 1 ? groups[0]!.label : `${groups.length} groups of runs`}`,
    createdAt: new Date().toISOString(),
    numbers: [
      { label: 'runs', value: String(runs.length), ...(finished < runs.length ? { note: `${finished} with a result` } : {}) },
      { label: 'groups', value: String(groups.length) },
      ...(scored === null ? [] : [{ label: 'test data', value: scored }]),
    ],
    sections: [
      notes.length === 0 ? '' : section('first', 'Read this first', '', `<ul>${notes.map((text) => `<li>${escapeHtml(text)}</li>`).join('\n')}</ul>`),
      figuresSection(comparison), ...charts, routingSection(groups), differingSection(comparison), runsSection(comparison), legendSection(comparison),
    ],
  });
}

function figuresSection({ groups, quality, columns, baseline }: Comparison): string {
  const compared = groups.length > 1;
  const head = [{ title: '' }, { title: 'runs', numeric: true }, { title: quality.title, numeric: true }, ...(compared ? [{ title: `from ${baseline}`, numeric: true }] : []), ...columns.map(({ title }) => ({ title, numeric: true }))];
  const rows = groups.map((group) => [
    group.label, runsCell(group), estimateText(group.quality, quality, '–'), ...(compared ? [differenceCell(group, quality)] : []),
    ...columns.map((column) => estimateText(group.figures[column.key] ?? null, column, '–')),
  ]);
  return section('figures', 'Test figures', compared ? PAIRING_TEXT : 'Mean ± standard error over seeds.', table(head, rows));
}

function chartsOf(comparison: Comparison): Chart[] {
  const drawn = drawnGroups(comparison);
  const some = drawn.length < comparison.groups.length ? ` Of ${comparison.groups.length} groups the baseline and the best are drawn.` : '';
  const points = (kind: 'training' | 'validation', x: (point: LossPoint) => number) => drawn.flatMap((group) => group[kind].map((point) => ({ x: x(point), y: point.loss, series: group.label })));
  const chart = (id: string, title: string, caption: string, kind: 'training' | 'validation', x: (point: LossPoint) => number, axis: string, format: string): Chart[] =>
    drawn.every((group) => group[kind].length < 2) ? [] : seriesChart({ id, title, caption: `${caption}${some}` }, points(kind, x), { x: axis, y: 'loss (nats per token)', format });
  return [
    ...chart('loss-by-step', 'Training loss by step', 'Smoothed; the mean over the seeds of a group. Lower is better.', 'training', ({ step }) => step, 'step', ',d'),
    ...chart('loss-by-flops', 'Training loss by executed FLOPs', 'The same losses over what the whole model has computed by then, experts as they were executed.', 'training', ({ flops }) => flops, 'FLOPs, forward and backward', '~s'),
    ...chart('loss-by-seconds', 'Training loss by seconds', 'Over the wall-clock of the training steps, which other work on the machine makes longer.', 'training', ({ seconds }) => seconds, 'seconds', '~s'),
    ...chart('validation', 'Validation loss by step', 'As it was scored during training, with the dispatch of training.', 'validation', ({ step }) => step, 'step', ',d'),
  ];
}

function routingSection(groups: readonly ComparedGroup[]): string {
  const rows = groups.flatMap(({ label, routing }) => routing.map((layer) => [label, layer.layer, ...ROUTING.map(({ of }) => of(layer) ?? '–')]));
  if (rows.length === 0) return '';
  const head = [{ title: '' }, { title: 'layer' }, ...ROUTING.map(({ title }) => ({ title, numeric: true }))];
  return section('routing', 'Routing by layer', 'At the end of training, before capacity; means over the runs of a group.', table(head, rows));
}

const ROUTING: readonly { title: string; of(layer: LayerAtEnd): string | undefined }[] = [
  { title: 'experts per token', of: ({ expertsPerToken }) => expertsPerToken?.toFixed(2) },
  { title: 'dropped', of: ({ dropped }) => (dropped === undefined ? undefined : `${(100 * dropped).toFixed(1)} %`) },
  { title: 'busiest / mean', of: ({ busiest }) => busiest?.toFixed(2) },
  { title: 'idle experts', of: ({ idle }) => (idle === undefined ? undefined : String(Number(idle.toFixed(1)))) },
];

/** What sets the groups apart. */
function differingSection({ differing, groups }: Comparison): string {
  if (differing.length === 0) return '';
  const rows = groups.map(({ label }, index) => [label, ...differing.map(({ values }) => values[index] ?? '–')]);
  return section('configuration', 'Where configurations differ', 'Seed and intervals of reports left out; defaults filled in.', table([{ title: '' }, ...differing.map(({ key }) => ({ title: key }))], rows));
}

function runsSection({ runs, quality, columns }: Comparison): string {
  const flops = columns.find(({ key }) => key === FLOPS_COLUMN.key);
  const rows = runs.map(({ run, group, seed, state, figures }) => [
    nameOf({ directory: run }), group, String(seed), state, figures[quality.key]?.toFixed(quality.digits) ?? '–', ...(flops ? [figures[flops.key] === undefined ? '–' : formatCompact(figures[flops.key]!)] : []),
  ]);
  const head = [{ title: 'run' }, { title: 'group' }, { title: 'seed', numeric: true }, { title: 'state' }, { title: quality.title, numeric: true }, ...(flops ? [{ title: flops.title, numeric: true }] : [])];
  return section('runs', 'Runs', '', table(head, rows));
}

function legendSection({ quality, columns }: Comparison): string {
  return section('legend', 'What the columns are', '', table([{ title: 'column' }, { title: 'meaning' }], [quality, ...columns].map(({ title, meaning }) => [title, meaning])));
}
