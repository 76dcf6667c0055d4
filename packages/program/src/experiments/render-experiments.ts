// The report of experiments as one self-contained HTML page, in the look of the reports of runs. It says first what is missing.
import { escapeHtml, section, table, type Column } from '../report/html.js';
import { page, renderCharts } from '../report/page.js';
import type { Chart } from '../report/charts.js';
import type { FigureColumn, Quality, Shown } from './experiment.js';
import type { MeasuredExperiment, MeasuredGroup, MeasuredRow } from './experiment-tables.js';
import type { Judgement } from './judge-claim.js';
import { NOISE_ERRORS, type Estimate } from './statistics.js';

/** What the page is made of, beside what is in the JSON. */
export interface ExperimentsPage {
  readonly title: string;
  readonly facts: readonly (readonly [label: string, value: string])[];
  /** Sentences that a reader must know first. */
  readonly warnings: readonly string[];
  readonly quality: Quality;
  readonly columns: readonly FigureColumn[];
  readonly sections: readonly { readonly experiment: MeasuredExperiment; readonly columns: readonly FigureColumn[]; readonly charts: readonly Chart[]; readonly shown: Shown | null }[];
  readonly createdAt: string;
}

export async function renderExperiments({ title, facts, warnings, quality, columns, sections, createdAt }: ExperimentsPage): Promise<string> {
  const parts = [];
  for (const { experiment, columns: own, charts, shown } of sections) {
    const drawn = await renderCharts([...charts, ...(shown?.charts ?? [])]);
    parts.push(experimentSection(experiment, own, quality, shown), ...drawn);
  }
  return page({ title, createdAt, numbers: facts.map(([label, value]) => ({ label, value })), sections: [warningSection(warnings), ...parts, legendSection(quality, columns)] });
}

function warningSection(warnings: readonly string[]): string {
  if (warnings.length === 0) return '';
  return section('first', 'Read this first', '', `<ul>${warnings.map((text) => `<li>${escapeHtml(text)}</li>`).join('\n')}</ul>`);
}

function experimentSection({ name, title, question, groups, claims }: MeasuredExperiment, columns: readonly FigureColumn[], quality: Quality, shown: Shown | null): string {
  const tables = groups.map((group) => groupTable(group, columns, quality)).join('\n');
  const measured = shown ? `${shown.sentences.map((text) => `<p>${escapeHtml(text)}</p>`).join('\n')}${table(shown.columns, shown.rows)}` : '';
  return section(name, title, question, `${claimsList(claims)}\n${tables}\n${measured}`);
}

const MARKS: Readonly<Record<Judgement['verdict'], string>> = { holds: '✓', 'does not hold': '✗', 'inside the noise': '≈', 'too few seeds': '?', 'not run': '–' };

function claimsList(claims: readonly Judgement[]): string {
  if (claims.length === 0) return '';
  const items = claims.map(({ claim, verdict, sentence }) =>
    `<li><b title="${escapeHtml(verdict)}">${MARKS[verdict]}</b> <em>${escapeHtml(claim)}</em><br>${escapeHtml(sentence)}</li>`);
  return `<ul class="claims">\n${items.join('\n')}\n</ul>`;
}

function groupTable({ title, note, baseline, publishedColumns, rows }: MeasuredGroup, columns: readonly FigureColumn[], quality: Quality): string {
  const shown = columns.filter(({ key }) => rows.some(({ figures }) => figures[key] !== undefined));
  const head: Column[] = [
    { title: '' }, ...publishedColumns.map((column) => ({ title: `published, ${column}`, numeric: true })),
    { title: quality.title, numeric: true }, ...(baseline === null ? [] : [{ title: `from ${baseline}`, numeric: true }]),
    ...shown.map((column) => ({ title: column.title, numeric: true })), { title: 'seeds', numeric: true },
  ];
  const body = rows.map((row) => [
    row.label, ...publishedColumns.map((column) => (row.published[column] === undefined ? '–' : String(row.published[column]))),
    estimateText(row.quality, quality), ...(baseline === null ? [] : [fromBaseline(row, quality)]),
    ...shown.map((column) => estimateText(row.figures[column.key] ?? null, column)), String(row.seeds),
  ]);
  const caption = note === '' ? '' : `<p class="caption">${escapeHtml(note)}</p>\n`;
  return `<h3>${escapeHtml(title)}</h3>\n${caption}${table(head, body)}`;
}

/** A mean with its standard error. */
function estimateText(estimate: Estimate | null, { digits, share }: Pick<FigureColumn, 'digits' | 'share'>): string {
  if (estimate === null) return 'not run';
  const show = (value: number): string => (share ? (100 * value).toFixed(digits) : value.toFixed(digits));
  const spread = estimate.error === null || Number(show(estimate.error)) === 0 ? '' : ` ± ${show(estimate.error)}`;
  return `${show(estimate.mean)}${spread}${share ? ' %' : ''}`;
}

function fromBaseline({ difference, noise }: MeasuredRow, { digits }: Quality): string {
  if (difference === null) return '';
  const sign = difference.mean < 0 ? '−' : '+';
  return `${sign}${estimateText({ ...difference, mean: Math.abs(difference.mean) }, { digits })} ${{ true: '≈', false: '', null: '?' }[String(noise)]}`.trim();
}

function legendSection(quality: Quality, columns: readonly FigureColumn[]): string {
  const rows = [[quality.title, quality.meaning], ...columns.map(({ title, meaning }) => [title, meaning])];
  const caption = `Mean ± standard error over seeds. Differences are paired: both sides had the same seed, so the same batches and, where they share any, the same initial weights. Below ${NOISE_ERRORS} standard errors: inside the noise, marked ≈; fewer than three pairs decide nothing, marked ?. `
    + 'With three seeds even an empty difference is above that in one comparison of five or six; the choice of the test text is not in it.';
  return section('legend', 'What the columns are', caption, table([{ title: 'column' }, { title: 'meaning' }], rows));
}
