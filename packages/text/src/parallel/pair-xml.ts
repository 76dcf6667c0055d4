// XML as files of pairs hold it: elements and their text as they come, and one error with a fitting hint for whatever is wrong with
// the file. Entities that a file defines are not read, nor anything it points to. Which elements mean what is tmx-pairs.ts and
// wmt-xml-pairs.ts.
import { XMoEError } from '@xmoe/core';
import { SaxesParser, type SaxesTagPlain } from 'saxes';
import { PAIRS_OP } from './pair-sources.js';
import type { PackedFile } from '../data/compressed-bytes.js';
import { readUtf8 } from '../data/utf8-text.js';

export interface XmlHandlers {
  open(tag: SaxesTagPlain, line: number): void;
  text(piece: string): void;
  close(name: string): void;
  /** At a character that XML does not allow; true when the reader leaves out what holds it. */
  badCharacter(): boolean;
}

export interface XmlFormat {
  /** For messages. */
  name: string;
  /** Name of the first element. */
  root: string;
}

/** What is wrong with a file, and what to do. */
class XmlError extends Error {
  constructor(message: string, readonly hint = 'mend the file there, or fetch it again') {
    super(message);
  }
}

/**
 * Tells `handlers` what a file holds and gives after each piece of it what `take` has by then.
 * @throws XMoEError `data` naming the file, the line and what is wrong
 */
export async function* readXml<Item>(file: PackedFile, { name, root }: XmlFormat, handlers: XmlHandlers, take: () => Item[]): AsyncGenerator<Item[]> {
  try {
    const parser = createParser(root, handlers);
    for await (const text of readUtf8(file, PAIRS_OP)) {
      parser.write(text);
      yield take();
    }
    parser.close();
  } catch (cause) {
    const problem = cause instanceof RangeError ? new XmlError('a text in it is longer than one string can be') : cause;
    if (!(problem instanceof XmlError)) throw cause;
    throw new XMoEError('data', `${file.path}: not readable as ${name}: ${problem.message}`, { op: PAIRS_OP, hint: problem.hint, cause });
  }
  yield take();
}

function createParser(root: string, handlers: XmlHandlers) {
  const parser = new SaxesParser();
  let first: string | undefined;
  let ended = false;

  parser.on('error', ({ message }) => {
    if (/disallowed character\.|malformed character entity\./.test(message) && handlers.badCharacter()) return;
    throw new XmlError(message, hintFor(message, ended));
  });
  parser.on('xmldecl', ({ encoding }) => {
    if (encoding === undefined || /^utf-?8$|^(us-)?ascii$/i.test(encoding)) return;
    throw new XmlError(`it says its encoding is ${encoding}, not UTF-8`, `convert it, its first line too: iconv -f ${encoding} -t UTF-8`);
  });
  parser.on('opentag', (tag) => {
    first ??= tag.name;
    if (first !== root) throw new XmlError(`its first element is <${first}> and not <${root}>`, 'the file is of another format: name the one it has');
    handlers.open(tag, parser.line);
  });
  parser.on('text', handlers.text);
  parser.on('cdata', handlers.text);
  parser.on('closetag', ({ name }) => handlers.close(name));
  return {
    write: (piece: string) => void parser.write(piece),
    close() {
      ended = true;
      parser.close();
      if (first === undefined) throw new XmlError('it holds no XML element', 'the file is empty or of another format');
    },
  };
}

function hintFor(message: string, ended: boolean): string | undefined {
  if (message.includes('undefined entity')) return 'entities that a file defines are not read: replace them by their text';
  return ended ? 'the file is cut short: fetch it again' : undefined;
}

/** Whether a language code of a file is the wanted one: `de` takes `de` and `de-DE`, `pt-br` takes `pt-BR` alone. */
export function takesLanguage(wanted: string, code: string): boolean {
  const [want, have] = [wanted, code].map((text) => text.toLowerCase().replaceAll('_', '-')) as [string, string];
  return have === want || have.startsWith(`${want}-`);
}
