// The page of a server, on which a model is tried: its controls as HTML. What they do is page/serve-page.js; the look is that of reports.
// Loads nothing but what the server itself has.
import { createHash } from 'node:crypto';
import { escapeHtml } from '../report/html.js';
import { STYLES } from '../report/styles.js';

export interface PageFacts {
  readonly name: string;
  readonly task: 'language' | 'translation';
  /** One line: what the model is. */
  readonly about: string;
  /** A text or sentence to begin with. */
  readonly example: string;
  /** t of the run; null where its router has none. */
  readonly threshold: number | null;
  /** γ of the run; null where the model is dense. */
  readonly capacityFactor: number | null;
  /** Of a translation. */
  readonly beam?: number;
  readonly asksForToken?: boolean;
}

const OWN_STYLES = `
header { margin-bottom: 18px; }
form { display: grid; gap: 14px; }
label { display: grid; gap: 4px; color: var(--muted); font-size: 0.9rem; }
textarea, input, select { font: inherit; color: var(--ink); background: var(--page); border: 1px solid var(--line); border-radius: 8px; padding: 8px 10px; width: 100%; min-width: 0; }
textarea { min-height: 7em; resize: vertical; }
.controls { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px; align-items: end; }
.actions { display: flex; gap: 10px; align-items: center; flex-wrap: wrap; }
button { font: inherit; font-weight: 600; border: 1px solid var(--line); border-radius: 8px; padding: 8px 18px; background: var(--card); color: var(--ink); cursor: pointer; }
button.main { background: var(--series-1); border-color: var(--series-1); color: var(--on-series); }
button:disabled { opacity: 0.5; cursor: default; }
:focus-visible { outline: 2px solid var(--series-1); outline-offset: 2px; }
#status { color: var(--muted); font-size: 0.9rem; margin: 0; }
#status.wrong { color: var(--series-7); }
.tokens { font: 0.95rem/2 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 8px 0; }
.tokens span { border-radius: 4px; padding: 2px 0; cursor: pointer; background: color-mix(in srgb, var(--series-1) calc(var(--share) * 65%), transparent); }
.tokens span.dropped { text-decoration: underline wavy var(--series-2); }
.tokens span[aria-selected="true"] { outline: 2px solid var(--series-1); }
#token { min-height: 3em; margin: 0; font-size: 0.92rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
ol.translations { margin: 0; padding-left: 1.4em; }
ol.translations li { padding: 4px 0; }
.score { color: var(--muted); font-size: 0.85rem; font-variant-numeric: tabular-nums; }
[hidden] { display: none !important; }
`;

const STYLE = `${STYLES}${OWN_STYLES}`;

/** Nothing but the page's own script and style runs, whatever a model writes. */
export const PAGE_POLICY: Readonly<Record<string, string>> = {
  'Content-Security-Policy': `default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'Referrer-Policy': 'no-referrer',
};

/** The page, as HTML. */
export function servePage(facts: PageFacts): string {
  const { name, about, task, asksForToken = false } = facts;
  const isLanguage = task === 'language';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(name)} · xmoe</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
<script type="module" src="/serve-page.js"></script>
</head>
<body>
<main data-task="${task}" data-model="${escapeHtml(name)}">
<header>
<h1>${escapeHtml(name)}</h1>
<p class="when">${escapeHtml(about)}</p>
</header>
<div class="grid">
<section class="wide" aria-label="${isLanguage ? 'Text to continue' : 'Sentences to translate'}">
<form id="ask">
<label>${isLanguage ? 'Text to continue' : 'Sentences to translate, one a line'}<textarea id="input" dir="auto" spellcheck="false" maxlength="20000">${escapeHtml(facts.example)}</textarea></label>
<div class="controls">
${(isLanguage ? languageControls(facts) : translationControls(facts)).join('\n')}
${asksForToken ? '<label>Token of the server<input id="server-token" type="password" autocomplete="off"></label>' : ''}
</div>
<div class="actions"><button class="main" id="go">${isLanguage ? 'Continue' : 'Translate'}</button><button type="button" id="stop" disabled>Stop</button><p id="status" role="status"></p></div>
</form>
</section>
<section class="wide" id="result" hidden>
<h2>${isLanguage ? 'Text' : 'Translations'}</h2>
<div id="output" ${isLanguage ? '' : 'aria-live="polite"'}></div>
</section>
<section class="wide" id="routing" hidden>
<h2>Experts per token</h2>
<p class="caption" id="routing-caption"></p>
<div class="controls"><label>Layer<select id="layer"></select></label></div>
<div class="tokens" id="tokens" role="listbox" aria-label="Tokens; arrow keys go from one to the next" tabindex="-1"></div>
<p id="token" aria-live="polite"></p>
</section>
</div>
</main>
</body>
</html>
`;
}

interface NumberField {
  readonly id: string;
  readonly label: string;
  readonly value: number | '';
  readonly min: number;
  readonly max?: number;
  readonly step: number | 'any';
}

function numberField({ id, label, value, min, max, step }: NumberField): string {
  return `<label>${escapeHtml(label)}<input id="${id}" type="number" inputmode="decimal" value="${value}" min="${min}"${max === undefined ? '' : ` max="${max}"`} step="${step}"></label>`;
}

function routingControls({ threshold, capacityFactor, task }: PageFacts): string[] {
  return [
    ...(threshold === null ? [] : [numberField({ id: 'threshold', label: 'threshold t: fewer experts where lower', value: threshold, min: 0, max: 1, step: 'any' })]),
    ...(capacityFactor === null || task === 'translation' ? [] : [numberField({ id: 'capacity-factor', label: 'γ, to show what capacity drops', value: '', min: 0.1, step: 'any' })]),
  ];
}

function languageControls(facts: PageFacts): string[] {
  return [
    numberField({ id: 'temperature', label: 'temperature; 0: the likeliest', value: 0.8, min: 0, max: 10, step: 'any' }),
    numberField({ id: 'top-p', label: 'top-p', value: 0.95, min: 0.01, max: 1, step: 'any' }),
    numberField({ id: 'max-tokens', label: 'tokens', value: 120, min: 0, step: 1 }),
    numberField({ id: 'seed', label: 'seed; empty: another each time', value: '', min: 0, step: 1 }),
    ...routingControls(facts),
  ];
}

function translationControls(facts: PageFacts): string[] {
  const { beam = 4 } = facts;
  return [
    numberField({ id: 'n-best', label: 'translations of each', value: Math.min(3, beam), min: 1, max: 16, step: 1 }),
    numberField({ id: 'beam', label: 'beam', value: beam, min: 1, max: 16, step: 1 }),
    ...routingControls(facts),
  ];
}
