// Pairs from TMX translation memories (Translation Memory eXchange 1.4), streaming: the segments of a unit in the two
// languages. Inline tags are dropped and what they hold is kept out of the text, as it is code and not language. A placeholder
// between two words separates them; the tags of formatting do not.
import type { SaxesTagPlain } from 'saxes';
import type { PairReader } from './pair-reader.js';
import type { PairFile } from './pair-sources.js';
import { readXml, takesLanguage } from './pair-xml.js';
import type { LanguagePair, TextPair } from './pairs.js';

/** Elements inside a segment whose content is native code of the formatted text. `hi` and `sub` hold language. */
const CODE = new Set(['bpt', 'ept', 'it', 'ph', 'ut']);
const WORD_BEFORE = /[\p{L}\p{M}\p{N}]$/u;
const WORD_AFTER = /^[\p{L}\p{M}\p{N}]/u;
/** Scripts that write no spaces between words. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]$/u;

type Side = 'source' | 'target';

interface Unit {
  source?: string;
  target?: string;
  /** Sides of exactly the language asked for and not of a region of it. */
  readonly exact: Set<Side>;
  /** Languages that it has. */
  readonly codes: string[];
  damaged: boolean;
  /** Line of its beginning. */
  readonly line: number;
}

/** The pairs of a TMX file. A unit without one of the languages, or with a character that XML does not allow, is malformed. */
export async function* readTmxPairs(file: PairFile, { languages, malformed }: PairReader): AsyncGenerator<TextPair[]> {
  const { handlers, take } = createUnitReader(codesOf(file, languages));
  let number = 0;
  for await (const units of readXml(file, { name: 'TMX', root: 'tmx' }, handlers, take)) {
    const pairs: TextPair[] = [];
    for (const { source, target, line, damaged, codes } of units) {
      const place = `${file.path}:${line} unit ${++number}`;
      if (damaged) malformed.report(place, 'a character that XML does not allow');
      else if (source !== undefined && target !== undefined) pairs.push({ source, target, kind: file.origin.kind, place });
      else malformed.report(place, `no segment in "${source === undefined ? languages.source : languages.target}" (it has ${codes.join(', ') || 'none'})`);
    }
    yield pairs;
  }
}

function codesOf({ origin: { fields } }: PairFile, languages: LanguagePair): LanguagePair {
  return fields === undefined ? languages : { source: String(fields.source), target: String(fields.target) };
}

function createUnitReader(languages: LanguagePair) {
  let done: Unit[] = [];
  let unit: Unit | undefined;
  let variant: { side: Side; exact: boolean } | undefined;
  let text: string | undefined; // of the open segment
  let code = 0; // how deep inside code
  let gap = false; // a placeholder came after the text so far

  const finishSegment = () => {
    if (unit === undefined || variant === undefined) return;
    const { side, exact } = variant;
    // The first of several variants, but that of the very language before those of its regions.
    if (unit[side] === undefined || (exact && !unit.exact.has(side))) unit[side] = text;
    if (exact) unit.exact.add(side);
    text = undefined;
  };
  const handlers = {
    open(tag: SaxesTagPlain, line: number) {
      if (tag.name === 'tu') unit = { line, codes: [], exact: new Set(), damaged: false };
      else if (tag.name === 'tuv') {
        const language = tag.attributes['xml:lang'] ?? tag.attributes.lang ?? '';
        unit?.codes.push(language);
        variant = variantOf(language, languages);
      } else if (tag.name === 'seg' && variant !== undefined) [text, gap] = ['', false];
      else if (text !== undefined && CODE.has(tag.name)) {
        code++;
        gap ||= tag.name === 'ph';
      }
    },
    text(piece: string) {
      if (text === undefined || code > 0 || piece === '') return;
      const separate = gap && WORD_BEFORE.test(text) && WORD_AFTER.test(piece) && !UNSPACED.test(text);
      text += separate ? ` ${piece}` : piece;
      gap = false;
    },
    close(name: string) {
      if (name === 'seg') finishSegment();
      else if (name === 'tuv') variant = undefined;
      else if (name === 'tu' && unit !== undefined) {
        done.push(unit);
        unit = undefined;
      } else if (text !== undefined && CODE.has(name)) code--;
    },
    badCharacter() {
      if (unit !== undefined) unit.damaged = true;
      return unit !== undefined;
    },
  };
  return {
    handlers,
    take(): Unit[] {
      const taken = done;
      done = [];
      return taken;
    },
  };
}

/** The side that a language belongs to: of two that take it the longer code, so that `pt` to `pt-br` finds both. */
function variantOf(language: string, { source, target }: LanguagePair): { side: Side; exact: boolean } | undefined {
  const sides = ([['source', source], ['target', target]] as const).filter(([, wanted]) => takesLanguage(wanted, language));
  const [found] = sides.sort((a, b) => b[1].length - a[1].length);
  return found && { side: found[0], exact: takesLanguage(language, found[1]) };
}
