// Small pieces of HTML: escaping, tables. Everything that comes from a run passes through `escapeHtml`.

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** The least and the largest of any number of counts. */
export const extremesOf = (counts: readonly number[]): [least: number, most: number] =>
  counts.reduce(([least, most], count) => [Math.min(least, count), Math.max(most, count)], [Infinity, -Infinity]);

/** `text` as it may stand between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** A card of the page. `content` is HTML; the texts are escaped here. */
export function section(id: string, title: string, caption: string, content: string, wide = true): string {
  const lead = caption === '' ? '' : `<p class="caption">${escapeHtml(caption)}</p>\n`;
  return `<section id="${id}"${wide ? ' class="wide"' : ''}>\n<h2>${escapeHtml(title)}</h2>\n${lead}${content}\n</section>`;
}

export interface Bar {
  name: string;
  value: number;
  /** What the page is about; drawn in full colour. */
  own?: boolean;
}

/** Bars as long as their values, with the values at their ends. */
export function bars(entries: readonly Bar[]): string {
  const most = Math.max(...entries.map(({ value }) => value), Number.MIN_VALUE);
  return entries.map(({ name, value, own }) => {
    const share = ((value / most) * 100).toFixed(2);
    return `<div class="bar${own ? ' own' : ''}"><span>${escapeHtml(name)}</span><i style="width:${share}%"></i><b>${escapeHtml(value.toFixed(2))}</b></div>`;
  }).join('\n');
}

export interface Column {
  title: string;
  /** Numbers are set flush right. */
  numeric?: boolean;
}

/** A table that scrolls sideways by itself when it does not fit, by keys too. All cells are escaped here. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const attribute = (i: number) => (columns[i]?.numeric ? ' class="number"' : '');
  const head = columns.map((column, i) => `<th scope="col"${attribute(i)}>${escapeHtml(column.title)}</th>`).join('');
  const body = rows
    .map((row) => `<tr>${row.map((cell, i) => `<td${attribute(i)}>${escapeHtml(cell)}</td>`).join('')}</tr>`)
    .join('\n');
  const label = escapeHtml(`Table: ${columns.map(({ title }) => title).filter((title) => title !== '').join(', ')}`);
  return `<div class="scroll" tabindex="0" role="region" aria-label="${label}"><table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}
