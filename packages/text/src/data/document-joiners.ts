// From rows to document texts: a row each, lines up to an end-of-text line, or WikiText lines up to the next title.
// Pure string work: no files, no reports.
import { constants } from 'node:buffer';
import { XMoEError } from '@xmoe/core';
import { END_OF_TEXT } from '../tokenizers/tokenizer.js';

/** Takes rows one by one; gives a document's text when the row completes one. */
export interface Joiner {
  /** `text` is undefined for a malformed row. */
  push(text: string | undefined): string | undefined;
  /** What is left at the end of the input. */
  finish(): string | undefined;
}

/** Every row is a document. */
export function createRowJoiner(): Joiner {
  return { push: (text) => text, finish: () => undefined };
}

/**
 * Lines (with their line feeds) up to a line `<|endoftext|>` are a document, without the line feed before that line. A
 * document with a malformed line is left out whole. Blank documents are nothing.
 */
export function createMarkedJoiner(): Joiner {
  let lines: string[] = [];
  let broken = false;
  const finish = (): string | undefined => {
    const text = broken ? '' : joinLines(lines);
    lines = [];
    broken = false;
    return text.trim() === '' ? undefined : text;
  };
  return {
    push(text) {
      if (text === undefined) broken = true;
      else if (text.trimEnd() === END_OF_TEXT) return finish()?.replace(/\r?\n$/, '');
      else lines.push(text);
      return undefined;
    },
    finish,
  };
}

/** Whether a row is the title line of a WikiText article, ` = Title = `, and not a section, ` = = Section = = `. */
export function isArticleTitle(row: string): boolean {
  return /^ = (?!= ).*\S = ?\r?\n?$/.test(row) && !/ = = ?\r?\n?$/.test(row);
}

/**
 * WikiText lines up to the next title are a document. A title stands between blank lines, which tells it from a line of
 * an article that only looks like one. The blank rows of the Parquet files become ` \n`, as in the text files: the
 * documents one after the other are the published file to the byte. Malformed lines are left out.
 */
export function createArticleJoiner(): Joiner {
  let lines: string[] = [];
  let hasContent = false;
  let previousBlank = true;
  let candidate: string | undefined; // a title, if a blank line follows

  const append = (line: string, blank: boolean) => {
    lines.push(line);
    hasContent ||= !blank;
  };
  const take = (): string | undefined => {
    if (!hasContent) return undefined; // leading blank lines go with the first article
    const text = joinLines(lines);
    lines = [];
    hasContent = false;
    return text;
  };
  return {
    push(row) {
      if (row === undefined) return undefined;
      const blank = row.trim() === '';
      const line = row.endsWith('\n') ? row : blank ? ' \n' : `${row}\n`;
      let done: string | undefined;
      if (candidate !== undefined) {
        if (blank) done = take();
        append(candidate, false);
        candidate = undefined;
      }
      if (previousBlank && isArticleTitle(line)) candidate = line;
      else append(line, blank);
      previousBlank = blank;
      return done;
    },
    finish() {
      if (candidate !== undefined) append(candidate, false);
      candidate = undefined;
      return take();
    },
  };
}

function joinLines(lines: readonly string[]): string {
  const length = lines.reduce((sum, line) => sum + line.length, 0);
  if (length > constants.MAX_STRING_LENGTH) {
    throw new XMoEError('data', `a document of ${length} characters is more than one string can hold`, {
      op: 'readDocuments',
      hint: `separate the documents of a text file with lines ${END_OF_TEXT}`,
    });
  }
  return lines.join('');
}
