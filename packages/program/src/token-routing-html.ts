// The page of `inspect`: the text with each token shaded by how many experts it took, a card for each layer. The frame and the look are those of reports.
import { escapeHtml, extremesOf, section, table } from './report/html.js';
import { page } from './report/page.js';
import { shownToken, type InspectedText, type TokenRouting } from './token-routing.js';

const CAPTION = 'The more colour, the more experts a token took. Point at it, or go to it with the Tab key, for their numbers and probabilities. A wavy line: capacity dropped some of them.';

/** One text or several, each with its layers. */
export function inspectHtml(inspected: InspectedText | readonly InspectedText[], title: string): string {
  const texts = 'tokens' in inspected ? [inspected] : inspected;
  const layers = texts.flatMap(({ tokens, layers: own }) => own.map((layer) => ({ ...layer, tokens, mean: meanOf(layer.perToken) })));
  return page({
    title: `Experts per token: ${title}`,
    createdAt: new Date().toISOString(),
    numbers: layers.map(({ name, mean, experts }) => ({ label: name, value: mean.toFixed(2), note: `of ${experts} experts` })),
    sections: layers.map(({ name, experts, perToken, tokens, mean }, index) => {
      const counts = perToken.map((routing) => routing.experts.length);
      const [least, most] = extremesOf(counts);
      // Shaded within what occurs: otherwise a layer where all take many would be one colour.
      const spans = perToken.map((routing, place) => tokenSpan(tokens[place]!, routing, (counts[place]! - least) / Math.max(1, most - least))).join('');
      const figures = `${mean.toFixed(2)} of ${experts} experts per token, from ${least} to ${most}.`;
      return section(`layer-${index + 1}`, name, index === 0 ? `${figures} ${CAPTION}` : figures, `<p class="routed tokens" dir="auto">${spans}</p>\n${busiest(perToken, experts)}`);
    }),
  });
}

const meanOf = (perToken: readonly TokenRouting[]): number => perToken.reduce((sum, { experts }) => sum + experts.length, 0) / perToken.length;

function tokenSpan(token: string, { experts, dropped, probabilities }: TokenRouting, share: number): string {
  const details = experts.map((expert, rank) => {
    const probability = probabilities[rank] === undefined ? '' : ` ${(100 * probabilities[rank]!).toFixed(1)} %`;
    return `${expert}${probability}${dropped.includes(expert) ? ' dropped' : ''}`;
  });
  const title = escapeHtml(`${experts.length} expert${experts.length === 1 ? '' : 's'}: ${details.join(', ')}`);
  return `<span tabindex="0"${dropped.length > 0 ? ' class="dropped"' : ''} style="background:color-mix(in srgb, var(--series-1) ${(6 + 60 * share).toFixed(0)}%, transparent)" title="${title}">${escapeHtml(shownToken(token))}</span>`;
}

function busiest(perToken: readonly TokenRouting[], experts: number): string {
  const load = new Array<number>(experts).fill(0);
  for (const routing of perToken) for (const expert of routing.experts) load[expert]!++;
  const most = load.map((count, expert) => ({ count, expert })).sort((a, b) => b.count - a.count).slice(0, 8);
  const columns = ['expert', 'tokens', 'share of tokens'].map((title) => ({ title, numeric: true }));
  const rows = most.map(({ expert, count }) => [String(expert), String(count), `${((100 * count) / perToken.length).toFixed(0)} %`]);
  return `<details><summary>Busiest experts</summary>${table(columns, rows)}</details>`;
}
