// One self-contained HTML page about a run: headline numbers, charts, tables, sample text. It loads nothing from anywhere
// and runs no script.
import { formatCompact, formatDuration, formatShare } from '@xmoe/train';
import { isPlainObject, type JsonObject, type JsonValue } from '@xmoe/files';
import { chartsOf } from './charts.js';
import { bars, escapeHtml, section, table } from './html.js';
import { page, renderCharts } from './page.js';
import type { ReportData, RunChange, TextSample } from './report-data.js';
import { layerNames } from './series.js';
import { comparisonSections, routedTextSection, translationsSection } from './translation-sections.js';

/** The page, as HTML. All text of the run is escaped. */
export async function renderReport(data: ReportData): Promise<string> {
  const charts = await renderCharts(chartsOf(data));
  const sections = [
    perplexitySection(data), ...comparisonSections(data.comparisons), ...charts, translationsSection(data.translations), routedTextSection(data.routedText),
    routingSection(data), samplesSection(data.samples), changesSection(data.changes), configurationSection(data.configuration),
  ];
  return page({ title: data.title, createdAt: data.createdAt, numbers: data.summary, sections, ...data.live });
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
