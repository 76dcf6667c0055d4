// The parts of a report that are about translation: scores beside simple systems, translations beside their references, and
// the experts that each source word took.
import { bars, escapeHtml, extremesOf, section } from './html.js';
import type { Comparison, RoutedWord, TranslationSample } from './report-data.js';

/** Bars of each score. */
export function comparisonSections(comparisons: readonly Comparison[]): string[] {
  return comparisons.map(({ id, title, caption, entries }) => section(id, title, caption, bars(entries), false));
}

/** A table; the direction of writing follows each text. */
export function translationsSection(translations: readonly TranslationSample[]): string {
  if (translations.length === 0) return '';
  // On a phone each pair is a card, and the label stands above each text.
  const cell = (label: string, text: string): string => `<td dir="auto" data-label="${label}">${escapeHtml(text)}</td>`;
  const rows = translations.map(({ source, reference, translation }) => `<tr>${cell('source', source)}${cell('translation', translation)}${cell('reference', reference)}</tr>`);
  const head = ['source', 'translation', 'reference'].map((title) => `<th scope="col">${title}</th>`).join('');
  const content = `<div class="scroll"><table class="translations"><thead><tr>${head}</tr></thead><tbody>\n${rows.join('\n')}\n</tbody></table></div>`;
  return section('translations', 'Translations', 'Held-out pairs, not chosen by quality.', content);
}

/** Texts whose words have more colour the more experts they took, with the experts of each layer when pointed at or reached by a key. */
export function routedTextSection(texts: readonly RoutedWord[][]): string {
  const words = texts.flat();
  if (words.every(({ layers }) => layers.length === 0)) return '';
  const counts = words.map(expertsPerToken);
  const [least, most] = extremesOf(counts);
  const span = (word: RoutedWord): string => {
    const shade = ((60 * (expertsPerToken(word) - least)) / Math.max(1e-9, most - least)).toFixed(0);
    return `<span tabindex="0" style="background:color-mix(in srgb, var(--series-1) ${shade}%, transparent)" title="${escapeHtml(detailsOf(word))}">${escapeHtml(word.text)}</span>`;
  };
  const content = texts.map((text) => `<p class="routed" dir="auto">${text.map(span).join(' ')}</p>`).join('\n');
  return section('source-words', 'Experts per source word', `Point at a word, or go to it with the Tab key, to see which experts its tokens took in each layer, best first. The more colour, the more experts, from ${least.toFixed(1)} to ${most.toFixed(1)} per token.`, content);
}

function expertsPerToken({ layers }: RoutedWord): number {
  const counts = layers.flatMap(({ experts }) => experts.map((list) => list.length));
  return counts.reduce((sum, count) => sum + count, 0) / Math.max(1, counts.length);
}

/** `encoder.h.1: 2 experts (3, 5)` by layer; tokens of one word are divided by a bar. */
function detailsOf({ layers }: RoutedWord): string {
  return layers.map(({ name, experts }) => {
    const count = experts.reduce((sum, list) => sum + list.length, 0);
    const per = experts.length === 1 ? '' : ` for ${experts.length} tokens`;
    return `${name}: ${count} expert${count === 1 ? '' : 's'}${per} (${experts.map((list) => list.join(', ')).join(' | ')})`;
  }).join('\n');
}
