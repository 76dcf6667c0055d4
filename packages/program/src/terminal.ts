// The terminal as commands see it, and text for it: tables of facts, a line of progress, errors. No ANSI colours.
import { isXMoEError } from '@xmoe/core';
import { drawOn, type ProgressStream } from '@xmoe/train/node';
import { isFromSystem } from './exit-codes.js';

/** Where a command writes, and how it ends. */
export interface Terminal {
  /** Results. */
  output: ProgressStream;
  /** Progress and errors. */
  messages: ProgressStream;
  /** A command raises it to end with something else than 0. */
  exitCode: number;
  /** Whether the result is one JSON document (--json). Then nothing else reaches the output: what is written to it goes to the messages. */
  readonly json: boolean;
  /** What a command ends with: `text`, or with --json `document`. Once. */
  result(document: object, text: string): void;
  /** A program that this one starts writes the result to the output that both have. */
  resultElsewhere(): void;
  /** A command whose results are in files calls it: a reader that goes away then ends nothing. */
  outliveReaders(): void;
}

/** Where all text leaves a program: what came from data or other files reaches no terminal as a control character. */
export function textOnly(stream: ProgressStream): ProgressStream {
  return {
    write: (text) => stream.write(printable(text)),
    draw: (text) => drawOn(stream, text),
    get isTTY() {
      return stream.isTTY === true;
    },
    get columns() {
      return stream.columns || 80; // 0 where the terminal does not say
    },
  };
}

/** A line that tells a share: redrawn in place on a terminal, else written once. */
export function progressLine(stream: ProgressStream, label: string): { update(share: number): void; done(): void } {
  const live = stream.isTTY === true;
  let shown = -1;
  if (!live) stream.write(`${label}\n`);
  return {
    update(share) {
      const percent = Math.floor(100 * share);
      if (!live || percent === shown) return;
      drawOn(stream, '\r');
      stream.write(`${label} ${String((shown = percent)).padStart(3)}%`);
    },
    done: () => void (live && stream.write('\n')),
  };
}

/** Text without control characters that would drive the terminal. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd');
}

/** `label  value` lines with the values aligned. */
export function alignedFacts(entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([label]) => label.length));
  return entries.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`).join('\n');
}

/** Rows under their titles, the first column flush left, the others flush right. */
export function alignedTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [titles, ...rows];
  const widths = titles.map((_, column) => all.reduce((most, row) => Math.max(most, row[column]?.length ?? 0), 0));
  const line = (row: readonly string[]): string => `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  ')}`.trimEnd();
  return all.map(line).join('\n');
}

/** An error as one line and its hint. Unexpected errors keep their stack: they are bugs. */
export function errorText(error: unknown): string {
  if (isXMoEError(error)) return `error: ${error.message}${error.hint ? `\n  ${error.hint}` : ''}`;
  if (!(error instanceof Error)) return `unexpected error: ${String(error)}`;
  // Node's message names the path.
  return isFromSystem(error) ? `error: ${error.message}` : `unexpected error: ${error.stack ?? error.message}`;
}
