// Records of a CSV file (RFC 4180): cells between separators, in quotes where they hold separators, quotes or line ends. Streams;
// what the columns mean is up to whoever asked. TSV has no quotes and is read by lines.
import { XMoEError } from '@xmoe/core';
import { MAXIMUM_LINE_BYTES, refuseLongLine } from './byte-lines.js';
import type { PackedFile } from './compressed-bytes.js';
import { readUtf8 } from './utf8-text.js';

export interface CsvRecord {
  readonly cells: readonly string[];
  /** Where it begins. */
  readonly line: number;
}

/**
 * The records of a file in order, several per step; blank lines are none. The separator is a comma, or a semicolon where the
 * first line has no comma. Throws, naming `op`, when the file is not UTF-8 or ends inside quotes.
 */
export async function* readCsvRecords(file: PackedFile, op: string): AsyncGenerator<CsvRecord[]> {
  let parser: RecordParser | undefined;
  for await (const text of readUtf8(file, op)) {
    parser ??= new RecordParser(separatorOf(text), file.path, op);
    yield parser.parse(text);
  }
  if (parser !== undefined) yield parser.finish();
}

function separatorOf(text: string): string {
  const first = text.slice(0, text.indexOf('\n') >>> 0);
  return !first.includes(',') && first.includes(';') ? ';' : ',';
}

/** Follows quotes and separators through the pieces of a text. */
class RecordParser {
  private records: CsvRecord[] = [];
  private cells: string[] = [];
  /** Of the open cell. */
  private pieces: string[] = [];
  /** Of the open record. */
  private length = 0;
  /** `quote`: one was seen inside quotes, their end or half of a pair. */
  private state: 'start' | 'plain' | 'quoted' | 'quote' = 'start';
  private line = 1;
  private beginLine = 1;

  constructor(
    private readonly separator: string,
    private readonly path: string,
    private readonly op: string,
  ) {}

  /** The records that end in `text`, which follows what was parsed before. */
  parse(text: string): CsvRecord[] {
    for (let at = 0; at < text.length; ) {
      if (this.state === 'quoted') at = this.takeQuoted(text, at);
      else at = this.takePlain(text, at);
    }
    return this.take();
  }

  finish(): CsvRecord[] {
    if (this.state === 'quoted') {
      throw new XMoEError('data', `${this.path}:${this.beginLine}: quotes that begin here have no end`, {
        op: this.op,
        hint: 'the file is cut short or no CSV: fetch it again, or give a plain text another ending, such as .txt',
      });
    }
    if (this.state !== 'start' || this.cells.length > 0) this.endRecord();
    return this.take();
  }

  /** Takes text up to the next quote; where to go on. */
  private takeQuoted(text: string, at: number): number {
    const quote = text.indexOf('"', at);
    const piece = text.slice(at, quote < 0 ? text.length : quote);
    for (let feed = piece.indexOf('\n'); feed >= 0; feed = piece.indexOf('\n', feed + 1)) this.line++;
    this.add(piece);
    if (quote >= 0) this.state = 'quote';
    return at + piece.length + 1;
  }

  /** Takes a separator, a line end, a quote, or text up to one of the first two; where to go on. */
  private takePlain(text: string, at: number): number {
    const character = text[at];
    if (character === '"' && this.state !== 'plain') {
      if (this.state === 'quote') this.add('"');
      this.state = 'quoted';
    } else if (character === this.separator) this.endCell();
    else if (character === '\n') {
      this.line++;
      this.endRecord();
    } else if (character !== '\r' || this.state !== 'quote') {
      // A carriage return after quotes is of the line end.
      let end = at + 1;
      while (end < text.length && text[end] !== this.separator && text[end] !== '\n') end++;
      this.add(text.slice(at, end));
      this.state = 'plain';
      return end;
    }
    return at + 1;
  }

  private add(piece: string): void {
    this.length += piece.length;
    if (this.length > MAXIMUM_LINE_BYTES) refuseLongLine(this.path, this.beginLine, this.op);
    this.pieces.push(piece);
  }

  private endCell(): void {
    this.cells.push(this.pieces.join(''));
    this.pieces = [];
    this.state = 'start';
  }

  private endRecord(): void {
    const quoted = this.state === 'quote';
    this.endCell();
    const last = this.cells.length - 1;
    if (!quoted && this.cells[last].endsWith('\r')) this.cells[last] = this.cells[last].slice(0, -1);
    if (last > 0 || this.cells[0] !== '' || quoted) this.records.push({ cells: this.cells, line: this.beginLine });
    this.cells = [];
    this.length = 0;
    this.beginLine = this.line;
  }

  private take(): CsvRecord[] {
    const ready = this.records;
    this.records = [];
    return ready;
  }
}
