// One reader per file format: text lines, JSON rows, CSV, TSV, Parquet. A row is not yet a document: see document-joiners.ts.
import { isUtf8 } from 'node:buffer';
import { nearestName, XMoEError } from '@xmoe/core';
import { jsonProblem } from '@xmoe/files';
import { readByteLines } from './byte-lines.js';
import { readCsvRecords } from './csv-records.js';
import type { MalformedRows } from './documents.js';
import { holdsJsonArray, readJsonArray } from './json-array.js';
import { openParquet } from './parquet-table.js';
import type { SourceFile } from './source-files.js';

/** `text` is undefined where the row was malformed (and has been reported). */
export interface Row {
  readonly text: string | undefined;
  readonly place: string;
}

export interface RowReaderOptions {
  /** Name of the text field or column. */
  readonly field: string;
  readonly malformed: MalformedRows;
}

const OP = 'readDocuments';

/** The rows of a file in order, several per step. Lines of plain text keep their line feed. */
export function readRows(file: SourceFile, options: RowReaderOptions): AsyncGenerator<Row[]> {
  switch (file.format) {
    case 'parquet': return readParquetRows(file, options);
    case 'csv': return readCsvRows(file, options);
    case 'tsv': return readTsvRows(file, options);
    case 'json': return readJsonRows(file, options);
    default: return readLineRows(file, options);
  }
}

/** A line as text with its place; undefined where it is not UTF-8. */
interface TextLine {
  readonly text: string | undefined;
  readonly place: string;
}

/** The lines of a file; those that are not UTF-8 are reported. */
async function* readLines(file: SourceFile, malformed: MalformedRows): AsyncGenerator<TextLine[]> {
  let number = 0;
  for await (const lines of readByteLines(file, OP)) {
    yield lines.map((bytes) => {
      const place = `${file.path}:${++number}`;
      const text = decodeLine(bytes, number === 1);
      if (text === undefined) malformed.report(place, 'invalid UTF-8');
      return { text, place };
    });
  }
}

async function* readLineRows(file: SourceFile, { field, malformed }: RowReaderOptions): AsyncGenerator<Row[]> {
  for await (const lines of readLines(file, malformed)) {
    if (file.format === 'text') yield lines;
    else {
      const filled = lines.filter(({ text }) => text?.trim() !== '');
      yield filled.map(({ text, place }) => ({ text: text === undefined ? undefined : textOfJson(text, field, place, malformed), place }));
    }
  }
}

/** The text of a line, without the byte order mark a file may begin with; undefined when it is not UTF-8. */
function decodeLine(bytes: Buffer, first: boolean): string | undefined {
  if (!isUtf8(bytes)) return undefined;
  const text = bytes.toString('utf8');
  return first && text.startsWith('\uFEFF') ? text.slice(1) : text;
}

/** A .json file: an array of rows, or a row per line. */
async function* readJsonRows(file: SourceFile, options: RowReaderOptions): AsyncGenerator<Row[]> {
  if (!(await holdsJsonArray(file, OP))) return yield* readLineRows(file, options);
  for await (const elements of readJsonArray(file, OP)) {
    yield elements.map(({ text, line }) => {
      const place = `${file.path}:${line}`;
      return { text: textOfJson(text, options.field, place, options.malformed), place };
    });
  }
}

function textOfJson(line: string, field: string, place: string, malformed: MalformedRows): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    malformed.report(place, `not JSON: ${jsonProblem(error)}`);
    return undefined;
  }
  const text: unknown = isRecord(value) && Object.hasOwn(value, field) ? value[field] : undefined;
  if (typeof text === 'string') return text;
  malformed.report(place, `no string field "${field}"`);
  return undefined;
}

async function* readCsvRows(file: SourceFile, { field, malformed }: RowReaderOptions): AsyncGenerator<Row[]> {
  let header: readonly string[] | undefined;
  let column = -1;
  for await (const records of readCsvRecords(file, OP)) {
    const rows: Row[] = [];
    for (const { cells, line } of records) {
      if (header === undefined) {
        header = cells;
        column = columnOf(cells, field, file.path);
      } else rows.push(rowOfCells(cells, column, header.length, `${file.path}:${line}`, malformed));
    }
    yield rows;
  }
}

async function* readTsvRows(file: SourceFile, { field, malformed }: RowReaderOptions): AsyncGenerator<Row[]> {
  let header: readonly string[] | undefined;
  let column = -1;
  for await (const lines of readLines(file, malformed)) {
    const rows: Row[] = [];
    for (const { text, place } of lines) {
      const cells = text?.replace(/\r?\n$/, '').split('\t');
      if (cells?.length === 1 && cells[0] === '') continue;
      if (header === undefined) {
        header = cells ?? [];
        column = columnOf(header, field, file.path);
      } else rows.push(cells === undefined ? { text: undefined, place } : rowOfCells(cells, column, header.length, place, malformed));
    }
    yield rows;
  }
}

function rowOfCells(cells: readonly string[], column: number, expected: number, place: string, malformed: MalformedRows): Row {
  if (cells.length === expected) return { text: cells[column], place };
  malformed.report(place, `${cells.length} ${cells.length === 1 ? 'column' : 'columns'} instead of the ${expected} of the first line`);
  return { text: undefined, place };
}

function columnOf(columns: readonly string[], field: string, path: string): number {
  const column = columns.indexOf(field);
  if (column < 0) throw noColumn(columns, field, path, 'name the text column; a text without columns needs another ending, such as .txt');
  return column;
}

function noColumn(columns: readonly string[], field: string, path: string, hint: string): XMoEError {
  const near = nearestName(field, columns);
  const shown = columns.map((name) => (name.length > 40 ? `${name.slice(0, 37)}...` : name)).slice(0, 20).join(', ');
  return new XMoEError('data', `${path} has no column "${field}" (it has ${shown})`, {
    op: OP,
    hint: near === undefined ? hint : `did you mean "${near}"?`,
  });
}

async function* readParquetRows(file: SourceFile, { field, malformed }: RowReaderOptions): AsyncGenerator<Row[]> {
  const { path } = file;
  const table = await openParquet(file, OP);
  if (!table.columns.includes(field)) throw noColumn(table.columns, field, path, 'name the text column');
  let row = 0;
  for await (const objects of table.read([field])) {
    yield objects.map((object): Row => {
      const place = `${path} row ${row++}`;
      const text = object[field];
      if (typeof text === 'string') return { text, place };
      malformed.report(place, text instanceof Uint8Array ? 'invalid UTF-8' : `no text in column "${field}"`);
      return { text: undefined, place };
    });
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
