// The report of experiments as one self-contained HTML page, in the look of the reports of runs. It says first what is missing.
import { escapeHtml, section, table, type Column } from '../report/html.js';
import { page, renderCharts } from '../report/page.js';
import type { Chart } from '../report/charts.js';
import type { FigureColumn, Quality, Shown } from './experiment.js';
import type { MeasuredExperiment, MeasuredGroup } from './experiment-tables.js';
import { differenceCell, estimateText, PAIRING_TEXT } from './figure-text.js';
import type { Judgement } from './judge-claim.js';

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
    estimateText(row.quality, quality, 'not run'), ...(baseline === null ? [] : [differenceCell(row, quality)]),
    ...shown.map((column) => estimateText(row.figures[column.key] ?? null, column, 'not run')), String(row.seeds),
  ]);
  const caption = note === '' ? '' : `<p class="caption">${escapeHtml(note)}</p>\n`;
  return `<h3>${escapeHtml(title)}</h3>\n${caption}${table(head, body)}`;
}

function legendSection(quality: Quality, columns: readonly FigureColumn[]): string {
  const rows = [[quality.title, quality.meaning], ...columns.map(({ title, meaning }) => [title, meaning])];
  return section('legend', 'What the columns are', PAIRING_TEXT, table([{ title: 'column' }, { title: 'meaning' }], rows));
}
