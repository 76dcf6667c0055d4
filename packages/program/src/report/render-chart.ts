// Renders a Vega-Lite specification to an SVG string that can stand inline in a page. Vega is large and is loaded only
// when a chart is drawn.
import type { TopLevelSpec } from 'vega-lite';
import { escapeHtml } from './html.js';

/** Everything that is not data is drawn in the page's own colours and font. */
const CONFIG = {
  background: 'transparent',
  font: 'inherit',
  view: { stroke: null },
  axis: {
    labelColor: 'var(--muted)',
    titleColor: 'var(--muted)',
    titleFontWeight: 'normal',
    labelFontSize: 12,
    titleFontSize: 12,
    gridColor: 'var(--line)',
    domainColor: 'var(--line)',
    tickColor: 'var(--line)',
    titlePadding: 8,
  },
  legend: { labelColor: 'var(--ink)', titleColor: 'var(--muted)', titleFontWeight: 'normal', labelFontSize: 12, titleFontSize: 12, symbolOpacity: 1 },
  // The page describes each chart; a label on every mark would be read out one by one.
  aria: false,
} as const;

/** What a figure shows, for who does not see it. */
export interface FigureText {
  readonly title: string;
  readonly description: string;
}

/**
 * The SVG of `spec`, which scales with its container.
 * @param id makes the ids inside unique in the page: two charts would otherwise clip each other
 */
export async function renderChart(spec: TopLevelSpec, id: string, { title, description }: FigureText): Promise<string> {
  const [vega, vegaLite] = await Promise.all([import('vega'), import('vega-lite')]);
  const compiled = vegaLite.compile({ ...spec, autosize: { type: 'fit-x', contains: 'padding' }, config: CONFIG }, { logger: vega.logger(vega.Error) }).spec;
  const view = new vega.View(vega.parse(compiled), { renderer: 'none', logger: vega.logger(vega.Error) });
  try {
    const svg = await view.toSVG();
    const text = `<title id="${id}-title">${escapeHtml(title)}</title><desc id="${id}-text">${escapeHtml(description)}</desc>`;
    return svg
      .replaceAll(/\bid="([^"]+)"/g, `id="${id}-$1"`)
      .replaceAll(/url\(#([^)]+)\)/g, `url(#${id}-$1)`)
      .replace(/ xmlns(:xlink)?="[^"]*"/g, '')
      .replace(/ (width|height)="[^"]*"/g, (attribute, _, at: number) => (at < svg.indexOf('>') ? '' : attribute))
      .replace(/^<svg([^>]*)>/, (_, attributes: string) => `<svg role="img" aria-labelledby="${id}-title ${id}-text"${attributes}>${text}`);
  } finally {
    view.finalize();
  }
}
