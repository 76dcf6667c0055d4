// The elements of a JSON array that fills a file, one by one: memory is bounded by an element and not by the file. Finds where they
// begin and end; what they hold is parsed by whoever asked.
import { XMoEError } from '@xmoe/core';
import { MAXIMUM_LINE_BYTES, refuseLongLine } from './byte-lines.js';
import type { PackedFile } from './compressed-bytes.js';
import { readUtf8 } from './utf8-text.js';

/** An element as text, and the line it begins on. */
export interface JsonElement {
  readonly text: string;
  readonly line: number;
}

/**
 * Whether a .json file is one array of rows; otherwise it has a row per line. Throws, naming `op`, when it is neither: an object
 * over several lines.
 */
export async function holdsJsonArray(file: PackedFile, op: string): Promise<boolean> {
  for await (const text of readUtf8(file, op)) {
    const begin = text.trimStart();
    if (begin === '') continue;
    if (/^\{[^\S\n]*\r?\n/.test(begin)) {
      throw new XMoEError('data', `${file.path} holds one JSON object over several lines, and no rows`, {
        op,
        hint: 'give an array of objects, or an object per line (.jsonl)',
      });
    }
    return begin.startsWith('[');
  }
  return false;
}

/** The elements of the array, several per step. Throws, naming `op`, when it is not closed or not followed by nothing. */
export async function* readJsonArray(file: PackedFile, op: string): AsyncGenerator<JsonElement[]> {
  const scanner = new ArrayScanner(file.path, op);
  for await (const text of readUtf8(file, op)) yield scanner.scan(text);
  scanner.finish();
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const LINE_FEED = 0x0a;
const BRACE = 0x7d;
const OPENING = new Set([0x5b, 0x7b]); // [ {
const CLOSING = new Set([0x5d, 0x7d]); // ] }

/** Follows brackets and strings through the pieces of a text, and cuts it where elements of the outermost array end. */
class ArrayScanner {
  private depth = 0;
  private line = 1;
  private inString = false;
  private escaped = false;
  private closed = false;
  /** Of the element whose end is to come. */
  private pieces: string[] = [];
  private length = 0;
  private beginLine: number | undefined;
  private first = true;
  private done: JsonElement[] = [];

  constructor(
    private readonly path: string,
    private readonly op: string,
  ) {}

  /** The elements that end in `text`, which follows what was scanned before. */
  scan(text: string): JsonElement[] {
    let from = 0;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit === LINE_FEED) this.line++;
      else if (unit > 0x20) {
        if (this.closed) this.fail('something follows the array');
        this.beginLine ??= this.line;
      }
      if (this.inString) this.inside(unit);
      else if (unit === QUOTE) this.inString = true;
      else if (OPENING.has(unit)) {
        if (++this.depth > 1) continue;
        from = at + 1;
        this.beginLine = undefined; // the array's own bracket is no element
      } else if (this.depth === 1 && (unit === COMMA || CLOSING.has(unit))) {
        this.add(text.slice(from, at));
        if (unit === BRACE) this.fail('a brace closes the array');
        this.end(unit !== COMMA);
        from = at + 1;
      } else if (CLOSING.has(unit)) this.depth--;
    }
    if (!this.closed) this.add(text.slice(from));
    const elements = this.done;
    this.done = [];
    return elements;
  }

  finish(): void {
    if (!this.closed) this.fail('the array has no end');
  }

  private inside(unit: number): void {
    if (this.escaped) this.escaped = false;
    else if (unit === BACKSLASH) this.escaped = true;
    else if (unit === QUOTE) this.inString = false;
  }

  private add(piece: string): void {
    this.length += piece.length;
    if (this.length > MAXIMUM_LINE_BYTES) refuseLongLine(this.path, this.beginLine ?? this.line, this.op);
    this.pieces.push(piece);
  }

  /** Ends the element; `last` where the array ends, which may have none. */
  private end(last: boolean): void {
    const text = this.pieces.join('').trim();
    if (text !== '' || !(last && this.first)) this.done.push({ text, line: this.beginLine ?? this.line });
    this.pieces = [];
    this.length = 0;
    this.beginLine = undefined;
    this.first = false;
    this.closed = last;
  }

  private fail(problem: string): never {
    throw new XMoEError('data', `${this.path}:${this.line}: ${problem}`, {
      op: this.op,
      hint: 'the file is cut short or no JSON array: fetch it again, or give an object per line (.jsonl)',
    });
  }
}
