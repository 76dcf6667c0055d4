// Pairs from TSV, CSV, JSON lines and arrays, and Parquet: a row is a pair. TMX and line-aligned files are elsewhere.
import { isPlainObject, jsonProblem } from '@xmoe/files';
import { readCsvRecords } from '../data/csv-records.js';
import { holdsJsonArray, readJsonArray } from '../data/json-array.js';
import { openParquet } from '../data/parquet-table.js';
import { chooseFields, columnsOfHeader, fieldsOfHeader, sidesOfColumns, sidesOfObject, type RowSides } from './pair-fields.js';
import { PAIRS_OP, type PairFile } from './pair-sources.js';
import type { PairReader } from './pair-reader.js';
import type { TextPair } from './pairs.js';
import { readTextLines } from '../data/utf8-text.js';

/** Pairs of a TSV file. Blank lines are nothing. The first line is a header where fields are named or where it names known ones. */
export async function* readTsvPairs(file: PairFile, reader: PairReader): AsyncGenerator<TextPair[]> {
  const { fields } = file.origin;
  const named = fields !== undefined && Object.values(fields).some((field) => typeof field === 'string');
  let columns = fields === undefined || named ? undefined : columnsOfHeader([], fields, file.path);
  /** Whether the first line is a header; takes the columns from it. */
  const isHeader = (cells: readonly string[]): boolean => {
    const found = named ? fields : fieldsOfHeader(cells, reader.languages);
    if (found === undefined) return false;
    const own = columnsOfHeader(cells, found, file.path);
    if (columns !== undefined && (own.source !== columns.source || own.target !== columns.target)) return false; // given by number
    columns ??= own;
    if (!named) reader.note(`${file.path}: its first line names the columns (${found.source}, ${found.target}) and is no pair`);
    return true;
  };
  let number = 0;
  for await (const lines of readTextLines(file, PAIRS_OP)) {
    const pairs: TextPair[] = [];
    for (const line of lines) {
      const cells = line.split('\t');
      if (++number === 1 && isHeader(cells)) continue;
      if (line !== '') accept(sidesOfColumns(cells, columns, 'tab-separated'), `${file.path}:${number}`, file, reader, pairs);
    }
    yield pairs;
  }
}

/** Pairs of a CSV file, which has a header unless the fields are numbers. */
export async function* readCsvPairs(file: PairFile, reader: PairReader): AsyncGenerator<TextPair[]> {
  const { fields } = file.origin;
  const numbers = fields !== undefined && Object.values(fields).every((field) => typeof field !== 'string');
  let columns = numbers ? columnsOfHeader([], fields, file.path) : undefined;
  for await (const records of readCsvRecords(file, PAIRS_OP)) {
    const pairs: TextPair[] = [];
    for (const { cells, line } of records) {
      if (columns !== undefined) accept(sidesOfColumns(cells, columns, 'comma-separated'), `${file.path}:${line}`, file, reader, pairs);
      else {
        const sample = Object.fromEntries(cells.map((name) => [name, name])); // a row of texts
        const named = fields ?? fieldsOfHeader(cells, reader.languages);
        columns = columnsOfHeader(cells, named ?? chooseFields(cells, sample, undefined, reader.languages, file.path), file.path);
      }
    }
    yield pairs;
  }
}

interface JsonRow {
  readonly text: string;
  readonly line: number;
}

async function* jsonRows(file: PairFile): AsyncGenerator<JsonRow[]> {
  if (file.format === 'json' && (await holdsJsonArray(file, PAIRS_OP))) return yield* readJsonArray(file, PAIRS_OP);
  let number = 0;
  for await (const lines of readTextLines(file, PAIRS_OP)) yield lines.map((text) => ({ text, line: ++number }));
}

/** Pairs of a file with a JSON object per line, or of an array of them. Blank lines are nothing. */
export async function* readJsonPairs(file: PairFile, reader: PairReader): AsyncGenerator<TextPair[]> {
  let fields = file.origin.fields;
  let chosen = false;
  for await (const rows of jsonRows(file)) {
    const pairs: TextPair[] = [];
    for (const { text, line } of rows) {
      const place = `${file.path}:${line}`;
      if (text.trim() === '') continue;
      const row = parseObject(text);
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
  const table = await openParquet(file, PAIRS_OP);
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
    return isPlainObject(value) ? value : 'not a JSON object';
  } catch (error) {
    return `not JSON: ${jsonProblem(error)}`;
  }
}
