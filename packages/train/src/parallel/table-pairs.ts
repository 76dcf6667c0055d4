// Pairs from TSV, JSON lines and Parquet: a row is a pair. TMX and line-aligned files are elsewhere.
import { openParquet } from '../data/parquet-table.js';
import { chooseFields, columnsOfHeader, sidesOfColumns, sidesOfObject, type RowSides } from './pair-fields.js';
import { PAIRS_OP, type PairFile } from './pair-sources.js';
import type { PairReader } from './pair-reader.js';
import type { TextPair } from './pairs.js';
import { readTextLines } from './utf8-text.js';

/** Pairs of a TSV file. Blank lines are nothing. */
export async function* readTsvPairs(file: PairFile, reader: PairReader): AsyncGenerator<TextPair[]> {
  const { fields } = file.origin;
  const header = fields !== undefined && Object.values(fields).some((field) => typeof field === 'string');
  let columns = fields === undefined || header ? undefined : columnsOfHeader([], fields, file.path);
  let number = 0;
  for await (const lines of readTextLines(file, PAIRS_OP)) {
    const pairs: TextPair[] = [];
    for (const line of lines) {
      number++;
      if (header && columns === undefined) columns = columnsOfHeader(line.split('\t'), fields!, file.path);
      else if (line !== '') accept(sidesOfColumns(line, columns), `${file.path}:${number}`, file, reader, pairs);
    }
    yield pairs;
  }
}

/** Pairs of a file with a JSON object per line. Blank lines are nothing. */
export async function* readJsonPairs(file: PairFile, reader: PairReader): AsyncGenerator<TextPair[]> {
  let fields = file.origin.fields;
  let chosen = false;
  let number = 0;
  for await (const lines of readTextLines(file, PAIRS_OP)) {
    const pairs: TextPair[] = [];
    for (const line of lines) {
      const place = `${file.path}:${++number}`;
      if (line.trim() === '') continue;
      const row = parseObject(line);
      if (typeof row === 'string') {
        reader.malformed.report(place, row);
        continue;
      }
      if (!chosen) {
        fields = chooseFields(Object.keys(row), row, fields, reader.languages, file.path);
        chosen = true;
      }
      accept(sidesOfObject(row, fields!), place, file, reader, pairs);
    }
    yield pairs;
  }
}

/** Pairs of a Parquet table. */
export async function* readParquetPairs(file: PairFile, reader: PairReader): AsyncGenerator<TextPair[]> {
  const table = await openParquet(file.path, file.compression, PAIRS_OP);
  let fields = file.origin.fields;
  const used = (): string[] => [...new Set(Object.values(fields!).filter((name) => name !== undefined).map((name) => String(name).split('.')[0]))];
  if (fields === undefined) {
    for await (const rows of table.read(table.columns)) {
      if (rows.length === 0) continue;
      fields = chooseFields(table.columns, rows[0], undefined, reader.languages, file.path);
      break;
    }
    if (fields === undefined) return; // no rows
  } else chooseFields(table.columns, {}, fields, reader.languages, file.path);
  let number = 0;
  for await (const rows of table.read(used())) {
    const pairs: TextPair[] = [];
    for (const row of rows) accept(sidesOfObject(row, fields), `${file.path} row ${number++}`, file, reader, pairs);
    yield pairs;
  }
}

function accept(sides: RowSides, place: string, file: PairFile, { malformed }: PairReader, pairs: TextPair[]): void {
  if ('problem' in sides) malformed.report(place, sides.problem);
  else pairs.push({ source: sides.source, target: sides.target, kind: sides.kind ?? file.origin.kind, place });
}

function parseObject(line: string): Record<string, unknown> | string {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : 'not a JSON object';
  } catch (error) {
    return `not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}
