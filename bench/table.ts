// A table of results as data and as markdown. It computes nothing.

export interface Column {
  readonly key: string;
  readonly label: string;
  /** Decimals of numbers. Default 2. */
  readonly digits?: number;
}

export type Row = Readonly<Record<string, string | number>>;

export interface Table {
  readonly id: string;
  readonly title: string;
  /** What was measured, and how to read it. */
  readonly note: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

/** The table with its title and note. Numbers are aligned to the right; a cell that a row lacks is a dash. */
export function toMarkdown({ title, note, columns, rows }: Table): string {
  const cells = rows.map((row) => columns.map((column) => cell(row[column.key], column.digits ?? 2)));
  const isNumber = columns.map(({ key }) => rows.some((row) => typeof row[key] === 'number'));
  const widths = columns.map(({ label }, at) => Math.max(3, label.length, ...cells.map((line) => line[at].length)));
  const line = (texts: readonly string[]): string =>
    `| ${texts.map((text, at) => (isNumber[at] ? text.padStart(widths[at]) : text.padEnd(widths[at]))).join(' | ')} |`;
  const rule = `|${widths.map((width, at) => (isNumber[at] ? `${'-'.repeat(width + 1)}:` : '-'.repeat(width + 2))).join('|')}|`;
  return [`## ${title}`, '', note, '', line(columns.map(({ label }) => label)), rule, ...cells.map(line), ''].join('\n');
}

function cell(value: string | number | undefined, digits: number): string {
  if (value === undefined) return '–';
  return typeof value === 'number' ? value.toFixed(digits) : value;
}

/** Columns for a time: shortest and median, in ms. */
export const TIME_COLUMNS: readonly Column[] = [
  { key: 'minMs', label: 'min ms' },
  { key: 'medianMs', label: 'median ms' },
];
