// The page of `inspect`: the text with each token shaded by how many experts it took, one block per layer. Self-contained.
import { escapeHtml, extremesOf } from './report/html.js';
import { shownToken, type InspectedText, type TokenRouting } from './token-routing.js';

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --page: #fcfcfd; --line: #d9dce1; --shade: 37, 99, 235; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --page: #15171a; --line: #33383f; --shade: 96, 150, 255; } }
body { font: 16px/1.6 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.text { font: 15px/2 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: .5rem; padding: .75rem; }
.text span { border-radius: .2rem; padding: .1rem 0; cursor: default; } .text span:hover { outline: 2px solid rgb(var(--shade)); }
.dropped { text-decoration: underline wavy #d9480f; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } td, th { padding: .15rem .75rem .15rem 0; text-align: left; border-bottom: 1px solid var(--line); }
`;

/** One text or several, each with its layers. */
export function inspectHtml(inspected: InspectedText | readonly InspectedText[], title: string): string {
  const texts = 'tokens' in inspected ? [inspected] : inspected;
  const blocks = texts.flatMap(({ tokens, layers }) => layers.map(({ name, experts, perToken }) => {
    const counts = perToken.map((routing) => routing.experts.length);
    const [least, most] = extremesOf(counts);
    // Shaded within what occurs: otherwise a layer where all take many would be one colour.
    const spans = perToken.map((routing, index) => tokenSpan(tokens[index]!, routing, (counts[index]! - least) / Math.max(1, most - least))).join('');
    const mean = perToken.reduce((sum, routing) => sum + routing.experts.length, 0) / perToken.length;
    return `<h2>${escapeHtml(name)}: ${mean.toFixed(2)} of ${experts} experts per token, from ${least} to ${most}</h2><div class="text">${spans}</div>${loadTable(perToken, experts)}`;
  }));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Routing: ${escapeHtml(title)}</title><style>${STYLE}</style></head>
<body><h1>How many experts each token takes: ${escapeHtml(title)}</h1>
<p>The more colour, the more experts a token took. Point at it for their numbers and probabilities. A wavy line: capacity dropped some of them.</p>
${blocks.join('\n')}
</body></html>
`;
}

function tokenSpan(token: string, { experts, dropped, probabilities }: TokenRouting, share: number): string {
  const details = experts.map((expert, rank) => {
    const share = probabilities[rank] === undefined ? '' : ` ${(100 * probabilities[rank]!).toFixed(1)} %`;
    return `${expert}${share}${dropped.includes(expert) ? ' dropped' : ''}`;
  });
  const shade = (0.06 + 0.6 * share).toFixed(2);
  const attributes = dropped.length > 0 ? ' class="dropped"' : '';
  return `<span${attributes} style="background: rgba(var(--shade), ${shade})" title="${escapeHtml(`${experts.length} expert${experts.length === 1 ? '' : 's'}: ${details.join(', ')}`)}">${escapeHtml(shownToken(token))}</span>`;
}

function loadTable(perToken: readonly TokenRouting[], experts: number): string {
  const load = new Array<number>(experts).fill(0);
  for (const routing of perToken) for (const expert of routing.experts) load[expert]!++;
  const cells = load.map((count, expert) => ({ count, expert })).sort((a, b) => b.count - a.count).slice(0, 8);
  const rows = cells.map(({ expert, count }) => `<tr><td>${expert}</td><td>${count}</td><td>${((100 * count) / perToken.length).toFixed(0)} %</td></tr>`).join('');
  return `<details><summary>Busiest experts</summary><table><tr><th>expert</th><th>tokens</th><th>share of tokens</th></tr>${rows}</table></details>`;
}
