// Small pieces of HTML: escaping, tables. Everything that comes from a run passes through `escapeHtml`.

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** `text` as it may stand between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

export interface Column {
  title: string;
  /** Numbers are set flush right. */
  numeric?: boolean;
}

/** A table that scrolls sideways by itself when it does not fit. All cells are escaped here. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const attribute = (i: number) => (columns[i]?.numeric ? ' class="number"' : '');
  const head = columns.map((column, i) => `<th scope="col"${attribute(i)}>${escapeHtml(column.title)}</th>`).join('');
  const body = rows
    .map((row) => `<tr>${row.map((cell, i) => `<td${attribute(i)}>${escapeHtml(cell)}</td>`).join('')}</tr>`)
    .join('\n');
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}
