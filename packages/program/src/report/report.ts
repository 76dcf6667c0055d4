// One self-contained HTML page about a run: headline numbers, charts, tables, sample text. It loads nothing from anywhere
// and runs no script.
import { formatCompact, formatDuration, formatShare } from '@xmoe/train';
import { isPlainObject, type JsonObject, type JsonValue } from '@xmoe/files';
import { chartsOf, type Chart } from './charts.js';
import { bars, escapeHtml, section, table } from './html.js';
import { renderChart } from './render-chart.js';
import type { ReportData, RunChange, SummaryItem, TextSample } from './report-data.js';
import { layerNames } from './series.js';
import { STYLES } from './styles.js';
import { comparisonSections, routedTextSection, translationsSection } from './translation-sections.js';

/** Plot widths in pixels: a full row, half a row, and a phone. Text keeps its size because the width is met closely. */
const WIDTHS = { wide: 1090, half: 520, phone: 330 } as const;

/** The page, as HTML. All text of the run is escaped. */
export async function renderReport(data: ReportData): Promise<string> {
  const charts = await Promise.all(fillRows(chartsOf(data)).map(chartSection));
  const sections = [
    perplexitySection(data), ...comparisonSections(data.comparisons), ...charts, translationsSection(data.translations), routedTextSection(data.routedText),
    routingSection(data), samplesSection(data.samples), changesSection(data.changes), configurationSection(data.configuration),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(data.title)}</title>
<style>${STYLES}</style>
</head>
<body>
<main>
<header>
<h1>${escapeHtml(data.title)}</h1>
<p class="when">${escapeHtml(data.createdAt.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC'))}</p>
</header>
<dl class="numbers">
${data.summary.map(summaryItem).join('\n')}
</dl>
<div class="grid">
${sections.filter((section) => section !== '').join('\n')}
</div>
</main>
</body>
</html>
`;
}

function summaryItem({ label, value, note }: SummaryItem): string {
  const below = note === undefined ? '' : `<dd class="note">${escapeHtml(note)}</dd>`;
  return `<div>${below}<dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd></div>`;
}

/** Two half-width charts share a row; one that finds no partner takes the row alone. */
function fillRows(charts: readonly Chart[]): Chart[] {
  const out: Chart[] = [];
  for (let i = 0; i < charts.length; i++) {
    const [chart, next] = [charts[i]!, charts[i + 1]];
    if (chart.wide) out.push(chart);
    else if (next && !next.wide) out.push(chart, charts[++i]!);
    else out.push({ ...chart, wide: true });
  }
  return out;
}

async function chartSection({ id, title, caption, spec, wide }: Chart): Promise<string> {
  const [broad, narrow] = await Promise.all([
    renderChart(spec(wide ? WIDTHS.wide : WIDTHS.half), `${id}-broad`),
    renderChart(spec(WIDTHS.phone), `${id}-narrow`),
  ]);
  const label = `role="img" aria-label="${escapeHtml(`${title}. ${caption}`)}"`;
  return section(id, title, caption, `<div class="broad" ${label}>${broad}</div>\n<div class="narrow" ${label}>${narrow}</div>`, wide === true);
}

/** Bars, as long as the perplexities are high. */
function perplexitySection({ baselines, perplexity }: ReportData): string {
  if (baselines.length === 0) return '';
  const entries = [...baselines, ...(perplexity === undefined ? [] : [{ name: 'this model', perplexity }])];
  const content = bars(entries.map(({ name, perplexity: value }, i) => ({ name, value, own: i >= baselines.length })));
  return section('perplexity', 'Test perplexity beside simple models', 'On the same tokens; lower is better.', content);
}

function routingSection(data: ReportData): string {
  const { steps, routing } = data;
  const names = layerNames(steps, routing);
  if (names.length === 0) return '';
  const last = steps.at(-1);
  const load = routing.at(-1)?.load;
  const rows = names.map((name, layer) => {
    const shares = load?.[layer];
    const figure = (value: number | undefined, format: (value: number) => string) => (value === undefined ? '–' : format(value));
    return [
      name,
      figure(last?.expertsPerToken?.[layer], (value) => value.toFixed(2)),
      figure(last?.dropRate?.[layer], formatShare),
      figure(shares && Math.max(...shares), formatShare),
      figure(shares && Math.min(...shares), formatShare),
      figure(shares && shares.filter((share) => share === 0).length, String),
      figure(shares && effectiveExperts(shares), (value) => `${value.toFixed(1)} of ${shares!.length}`),
    ];
  });
  const columns = ['layer', 'experts per token', 'dropped', 'busiest expert', 'least busy', 'idle', 'effective experts'];
  const caption =
    'At the end of training. Effective experts: the number of equally loaded experts that would be as uneven (exponential of the entropy).';
  return section('routing', 'Routing by layer', caption, table(columns.map((title, i) => ({ title, numeric: i > 0 })), rows) + totals(data));
}

function effectiveExperts(shares: readonly number[]): number {
  const total = shares.reduce((sum, share) => sum + share, 0);
  return Math.exp(-shares.reduce((sum, share) => sum + (share > 0 ? (share / total) * Math.log(share / total) : 0), 0));
}

/** Operations and time in one sentence. */
function totals({ steps }: ReportData): string {
  const sum = (key: 'budgetedFlops' | 'executedFlops' | 'seconds') => steps.reduce((total, row) => total + (row[key] ?? 0), 0);
  const [budgeted, executed, seconds] = [sum('budgetedFlops'), sum('executedFlops'), sum('seconds')];
  if (budgeted === 0 || seconds === 0) return '';
  const text = `Expert operations executed: ${formatCompact(executed)}FLOP, ${formatShare(executed / budgeted)} of the ${formatCompact(budgeted)}FLOP budgeted, in ${formatDuration(seconds)} of training steps.`;
  // Capacity is a number of rows, which cannot depend on how many tokens of a batch are padding; the budget named here counts tokens.
  const beyond = executed > budgeted ? ' Capacity counts the padding of a batch too, so its tokens may take more than their share.' : '';
  return `\n<p class="caption" style="margin-top:12px">${escapeHtml(text + beyond)}</p>`;
}

function samplesSection(samples: readonly TextSample[]): string {
  if (samples.length === 0) return '';
  const blocks = samples.map(({ title, prompt, text }) => {
    const before = prompt === undefined ? '' : `<span class="prompt">${escapeHtml(prompt)}</span>`;
    return `<h3>${escapeHtml(title)}</h3>\n<pre class="sample">${before}${escapeHtml(text)}</pre>`;
  });
  return section('samples', 'Sample text', '', blocks.join('\n'));
}

/** What was not the same from beginning to end. */
function changesSection(changes: readonly RunChange[]): string {
  const rows = changes.flatMap(({ step, changed }) => Object.entries(changed).map(([key, [before, after]]) => [step.toLocaleString('en'), key, before, after]));
  if (rows.length === 0) return '';
  const columns = ['step', 'key', 'before', 'after'].map((title) => ({ title }));
  return section('changes', 'Changed on the way', 'When the run was resumed after these steps. The configuration below is that of its end.', table(columns, rows));
}

function configurationSection(configuration: JsonObject): string {
  const rows = flatten(configuration);
  if (rows.length === 0) return '';
  const lines = rows.map(([key, value]) => `<div><span>${escapeHtml(key)}</span><span>${escapeHtml(value)}</span></div>`);
  return section('configuration', 'Configuration', '', `<div class="configuration">\n${lines.join('\n')}\n</div>`);
}

function flatten(value: JsonValue, path = ''): [string, string][] {
  if (isPlainObject(value)) {
    return Object.entries(value as JsonObject).flatMap(([key, item]) => flatten(item, path === '' ? key : `${path}.${key}`));
  }
  return [[path, typeof value === 'string' ? value : JSON.stringify(value)]];
}
