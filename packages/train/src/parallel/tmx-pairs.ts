// Pairs from TMX translation memories (Translation Memory eXchange 1.4), streaming: the segments of a unit in the two
// languages. Inline tags are dropped and what they hold is kept out of the text, as it is code and not language.
import { XMoEError } from '@xmoe/core';
import { SaxesParser, type SaxesTagPlain } from 'saxes';
import type { PairReader } from './pair-reader.js';
import { PAIRS_OP, type PairFile } from './pair-sources.js';
import type { LanguagePair, TextPair } from './pairs.js';
import { readUtf8 } from '../data/utf8-text.js';

/** Elements inside a segment whose content is native code of the formatted text. `hi` and `sub` hold language. */
const CODE = new Set(['bpt', 'ept', 'it', 'ph', 'ut']);

/** The pairs of a TMX file. A unit without one of the languages is malformed. */
export async function* readTmxPairs(file: PairFile, { languages, malformed }: PairReader): AsyncGenerator<TextPair[]> {
  const units = createUnitParser(codesOf(file, languages));
  let number = 0;
  const take = (): TextPair[] => {
    const pairs: TextPair[] = [];
    for (const { source, target, line } of units.take()) {
      const place = `${file.path}:${line} unit ${++number}`;
      if (source !== undefined && target !== undefined) pairs.push({ source, target, kind: file.origin.kind, place });
      else malformed.report(place, `no segment in "${source === undefined ? languages.source : languages.target}"`);
    }
    return pairs;
  };
  try {
    for await (const text of readUtf8(file, PAIRS_OP)) {
      units.write(text);
      yield take();
    }
    units.close();
  } catch (cause) {
    if (!(cause instanceof TmxError)) throw cause;
    throw new XMoEError('data', `${file.path}: not readable as TMX: ${cause.message}`, {
      op: PAIRS_OP,
      hint: 'the file is cut short or of another format: fetch it again, or name the format',
      cause,
    });
  }
  yield take();
}

class TmxError extends Error {}

interface Unit {
  source?: string;
  target?: string;
  /** Line of its beginning. */
  readonly line: number;
}

function codesOf({ origin: { fields } }: PairFile, languages: LanguagePair): LanguagePair {
  return fields === undefined ? languages : { source: String(fields.source), target: String(fields.target) };
}

function createUnitParser(languages: LanguagePair) {
  const parser = new SaxesParser();
  let done: Unit[] = [];
  let unit: Unit | undefined;
  let side: 'source' | 'target' | undefined;
  let text: string | undefined; // of the open segment
  let code = 0; // how deep inside code
  let root: string | undefined;

  parser.on('error', (error) => {
    throw new TmxError(error.message);
  });
  parser.on('xmldecl', ({ encoding }) => {
    if (encoding !== undefined && !/^utf-?8$|^(us-)?ascii$/i.test(encoding)) throw new TmxError(`it says its encoding is ${encoding}, not UTF-8`);
  });
  parser.on('opentag', (tag) => {
    root ??= tag.name;
    if (root !== 'tmx') throw new TmxError(`its first element is <${root}> and not <tmx>`);
    if (tag.name === 'tu') unit = { line: parser.line };
    else if (tag.name === 'tuv') side = sideOf(tag, languages);
    else if (tag.name === 'seg' && side !== undefined) text = '';
    else if (text !== undefined && CODE.has(tag.name)) code++;
  });
  const addText = (piece: string) => {
    if (text !== undefined && code === 0) text += piece;
  };
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('closetag', ({ name }) => {
    if (name === 'seg' && side !== undefined && unit !== undefined) {
      unit[side] ??= text; // the first of several variants
      text = undefined;
    } else if (name === 'tuv') side = undefined;
    else if (name === 'tu' && unit !== undefined) {
      done.push(unit);
      unit = undefined;
    } else if (text !== undefined && CODE.has(name)) code--;
  });
  return {
    write: (piece: string) => void parser.write(piece),
    close() {
      parser.close();
      if (root === undefined) throw new TmxError('it holds no XML element');
    },
    take(): Unit[] {
      const taken = done;
      done = [];
      return taken;
    },
  };
}

/** `de` takes `de` and `de-DE`; `pt-br` takes `pt-BR` alone. */
function sideOf({ attributes }: SaxesTagPlain, { source, target }: LanguagePair): 'source' | 'target' | undefined {
  const code = (attributes['xml:lang'] ?? attributes.lang ?? '').toLowerCase().replaceAll('_', '-');
  const matches = (wanted: string) => code === wanted.toLowerCase() || code.startsWith(`${wanted.toLowerCase()}-`);
  if (matches(source)) return 'source';
  return matches(target) ? 'target' : undefined;
}
