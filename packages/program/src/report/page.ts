// The page that all reports are: head, headline numbers, sections in a grid; and charts as sections of it, drawn twice, for broad
// and for narrow windows. It loads nothing from anywhere and runs no script.
import type { Chart } from './charts.js';
import { escapeHtml, section } from './html.js';
import { renderChart } from './render-chart.js';
import type { SummaryItem } from './report-data.js';
import { STYLES } from './styles.js';

/** Plot widths in pixels: a full row, half a row, and a phone. Text keeps its size because the width is met closely. */
const WIDTHS = { wide: 1090, half: 520, phone: 330 } as const;

export interface Page {
  title: string;
  /** ISO 8601. */
  createdAt: string;
  numbers: readonly SummaryItem[];
  /** HTML; empty ones are left out. */
  sections: readonly string[];
  /** A page of what goes on: it loads itself again so often, in seconds. */
  reloadSeconds?: number;
  /** Below the title, beside the time. */
  note?: string;
}

/** In the head of a page that loads itself again; without it the page stays. No script: the browser keeps the place on the page. */
export const RELOAD_TAG = /<meta http-equiv="refresh" content="\d+">\n/;
const reloadTag = (seconds: number): string => `<meta http-equiv="refresh" content="${seconds}">\n`;

/** The page, as HTML. Title and numbers are escaped here. */
export function page({ title, createdAt, numbers, sections, reloadSeconds, note = '' }: Page): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${reloadSeconds === undefined ? '' : reloadTag(reloadSeconds)}<title>${escapeHtml(title)}</title>
<style>${STYLES}</style>
</head>
<body>
<main>
<header>
<h1>${escapeHtml(title)}</h1>
<p class="when">${escapeHtml(createdAt.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC'))}${note === '' ? '' : ` · ${escapeHtml(note)}`}</p>
</header>
<dl class="numbers">
${numbers.map(summaryItem).join('\n')}
</dl>
<div class="grid">
${sections.filter((text) => text !== '').join('\n')}
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

/** A section for each chart. */
export function renderCharts(charts: readonly Chart[]): Promise<string[]> {
  return Promise.all(fillRows(charts).map(chartSection));
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
    renderChart(spec(wide ? WIDTHS.wide : WIDTHS.half), `${id}-broad`, { title, description: caption }),
    renderChart(spec(WIDTHS.phone), `${id}-narrow`, { title, description: caption }),
  ]);
  return section(id, title, caption, `<div class="broad">${broad}</div>\n<div class="narrow">${narrow}</div>`, wide === true);
}
