// One reader per file format: text lines, JSON lines, Parquet rows. A row is not yet a document: see document-joiners.ts.
import { isUtf8 } from 'node:buffer';
import { nearestName, XMoEError } from '@xmoe/core';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { readByteLines } from './byte-lines.js';
import type { MalformedRows } from './documents.js';
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
  if (file.format === 'parquet') return readParquetRows(file.path, options);
  return readLineRows(file, options);
}

async function* readLineRows(file: SourceFile, { field, malformed }: RowReaderOptions): AsyncGenerator<Row[]> {
  let number = 0;
  for await (const lines of readByteLines(file.path, file.gzip)) {
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

async function* readParquetRows(path: string, { field, malformed }: RowReaderOptions): AsyncGenerator<Row[]> {
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  // Bytes that are not UTF-8 stay bytes, so that the row can be named instead of filled with U+FFFD.
  const stringFromBytes = (bytes: Uint8Array | undefined) => (bytes && isUtf8(bytes) ? utf8.decode(bytes) : bytes);
  const file = await damaged(path, asyncBufferFromFile(path));
  const metadata = await damaged(path, parquetMetadataAsync(file));
  const columns = metadata.schema.slice(1).map((element) => element.name);
  if (!columns.includes(field)) {
    const near = nearestName(field, columns);
    throw new XMoEError('data', `${path} has no column "${field}" (it has ${columns.join(', ')})`, {
      op: 'readDocuments',
      hint: near === undefined ? 'name the text column' : `did you mean "${near}"?`,
    });
  }
  let row = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = row + Number(group.num_rows);
    const options = { file, metadata, columns: [field], rowStart: row, rowEnd, compressors, parsers: { stringFromBytes } };
    const objects = await damaged(path, parquetReadObjects(options));
    yield objects.map((object: Record<string, unknown>): Row => {
      const place = `${path} row ${row++}`;
      const text = object[field];
      if (typeof text === 'string') return { text, place };
      malformed.report(place, text instanceof Uint8Array ? 'invalid UTF-8' : `no text in column "${field}"`);
      return { text: undefined, place };
    });
  }
}

async function damaged<Result>(path: string, reading: Promise<Result>): Promise<Result> {
  try {
    return await reading;
  } catch (cause) {
    throw new XMoEError('data', `${path}: not readable as Parquet: ${cause instanceof Error ? cause.message : cause}`, {
      op: 'readDocuments',
      hint: 'the file is cut short or of another format: fetch it again, or name the format',
      cause,
    });
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
