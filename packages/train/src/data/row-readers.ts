// One reader per file format: text lines, JSON lines, Parquet rows. A row is not yet a document: see document-joiners.ts.
import { isUtf8 } from 'node:buffer';
import { nearestName, XMoEError } from '@xmoe/core';
import { readByteLines } from './byte-lines.js';
import type { MalformedRows } from './documents.js';
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

/** The rows of a file in order, several per step. Lines of plain text keep their line feed. */
export function readRows(file: SourceFile, options: RowReaderOptions): AsyncGenerator<Row[]> {
  if (file.format === 'parquet') return readParquetRows(file, options);
  return readLineRows(file, options);
}

async function* readLineRows(file: SourceFile, { field, malformed }: RowReaderOptions): AsyncGenerator<Row[]> {
  let number = 0;
  for await (const lines of readByteLines(file.path, file.compression, 'readDocuments')) {
    const rows: Row[] = [];
    for (const bytes of lines) {
      const place = `${file.path}:${++number}`;
      const line = decodeLine(bytes, number === 1);
      if (line === undefined) {
        malformed.report(place, 'invalid UTF-8');
        rows.push({ text: undefined, place });
      } else if (file.format === 'text') {
        rows.push({ text: line, place });
      } else if (line.trim() !== '') {
        rows.push({ text: textOfJson(line, field, place, malformed), place });
      }
    }
    yield rows;
  }
}

/** The text of a line, without the byte order mark a file may begin with; undefined when it is not UTF-8. */
function decodeLine(bytes: Buffer, first: boolean): string | undefined {
  if (!isUtf8(bytes)) return undefined;
  const text = bytes.toString('utf8');
  return first && text.startsWith('\uFEFF') ? text.slice(1) : text;
}

function textOfJson(line: string, field: string, place: string, malformed: MalformedRows): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    malformed.report(place, `not JSON: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
  const text: unknown = isRecord(value) && Object.hasOwn(value, field) ? value[field] : undefined;
  if (typeof text === 'string') return text;
  malformed.report(place, `no string field "${field}"`);
  return undefined;
}

async function* readParquetRows(file: SourceFile, { field, malformed }: RowReaderOptions): AsyncGenerator<Row[]> {
  const { path } = file;
  const table = await openParquet(path, file.compression, 'readDocuments');
  if (!table.columns.includes(field)) {
    const near = nearestName(field, table.columns);
    throw new XMoEError('data', `${path} has no column "${field}" (it has ${table.columns.join(', ')})`, {
      op: 'readDocuments',
      hint: near === undefined ? 'name the text column' : `did you mean "${near}"?`,
    });
  }
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
