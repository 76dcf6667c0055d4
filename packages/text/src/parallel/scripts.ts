// Which script a language is written in, and how much of a text is in it. It does not tell languages of one script apart.
import { nearestName, XMoEError } from '@xmoe/core';

const SCRIPTS = [
  'Latin', 'Cyrillic', 'Hebrew', 'Han', 'Hiragana', 'Katakana', 'Hangul', 'Arabic', 'Greek', 'Devanagari', 'Bengali', 'Tamil',
  'Telugu', 'Thai', 'Georgian', 'Armenian', 'Ethiopic',
] as const;
export type Script = (typeof SCRIPTS)[number];

const LANGUAGES: Readonly<Record<Script | 'Japanese' | 'Korean' | 'Serbian', string>> = {
  Latin:
    'af az bs ca cs cy da de en eo es et eu fi fr ga gl ha hr hu id is it lt lv ms mt nb nl nn no pl pt ro sk sl so sq sv sw tl tr uz vi xh yo zu',
  Cyrillic: 'be bg kk ky mk mn ru tg tt uk',
  Hebrew: 'he iw yi',
  Han: 'zh yue',
  Japanese: 'ja',
  Korean: 'ko',
  Serbian: 'sr',
  Hiragana: '',
  Katakana: '',
  Hangul: '',
  Arabic: 'ar fa ps ur ug',
  Greek: 'el',
  Devanagari: 'hi mr ne sa',
  Bengali: 'bn as',
  Tamil: 'ta',
  Telugu: 'te',
  Thai: 'th',
  Georgian: 'ka',
  Armenian: 'hy',
  Ethiopic: 'am ti',
};

const SEVERAL: Readonly<Record<string, readonly Script[]>> = {
  Japanese: ['Han', 'Hiragana', 'Katakana'],
  Korean: ['Hangul', 'Han'],
  Serbian: ['Cyrillic', 'Latin'],
};

const scriptsByLanguage: ReadonlyMap<string, readonly Script[]> = new Map(
  Object.entries(LANGUAGES).flatMap(([name, codes]) =>
    codes.split(' ').filter(Boolean).map((code) => [code, SEVERAL[name] ?? [name as Script]] as const),
  ),
);

/** Scripts of a language, by its code: `de`, `pt-br`, `zh_Hans`. Throws on a code that is not known. */
export function scriptsOf(language: string): readonly Script[] {
  const [code] = language.toLowerCase().split(/[-_]/);
  const scripts = scriptsByLanguage.get(code);
  if (scripts !== undefined) return scripts;
  const known = [...scriptsByLanguage.keys()];
  const near = code.length === 2 ? undefined : nearestName(code, known);
  throw new XMoEError('config', `the script of language "${language}" is not known`, {
    op: 'scriptsOf',
    hint: `${near === undefined ? '' : `did you mean "${near}"? `}known codes: ${known.sort().join(' ')}; or turn the script check off (minScriptShare 0)`,
  });
}

/** Latin letters that one character is about as long as: scripts of syllables and words are denser. */
const DENSITY: Partial<Record<Script, number>> = { Han: 3, Hiragana: 2, Katakana: 2, Hangul: 2 };
const OTHER_LETTER = SCRIPTS.length + 1;
const densities = Uint8Array.from([1, ...SCRIPTS.map((script) => DENSITY[script] ?? 1), 1]);

let classes: Uint8Array | undefined;

/** Per UTF-16 code unit: 0 no letter, 1 + position in SCRIPTS, or another letter. Characters beyond U+FFFF count as none. */
function classTable(): Uint8Array {
  if (classes !== undefined) return classes;
  classes = new Uint8Array(1 << 16);
  const expressions = SCRIPTS.map((script) => new RegExp(`\\p{Script=${script}}`, 'u'));
  for (let code = 0; code < classes.length; code++) {
    const character = String.fromCharCode(code);
    if (!/\p{L}/u.test(character)) continue;
    const found = expressions.findIndex((expression) => expression.test(character));
    classes[code] = found < 0 ? OTHER_LETTER : found + 1;
  }
  return classes;
}

/** Share of a text's letters that are of `scripts`, dense characters counted by their density; NaN without letters. */
export function scriptShare(text: string, scripts: readonly Script[]): number {
  const table = classTable();
  const wanted = new Set(scripts.map((script) => SCRIPTS.indexOf(script) + 1));
  let [inside, all] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    const kind = table[text.charCodeAt(i)];
    if (kind === 0) continue;
    all += densities[kind];
    if (wanted.has(kind)) inside += densities[kind];
  }
  return inside / all;
}

/** Characters of a text, dense ones counted by their density: comparable between scripts. */
export function weightedLength(text: string): number {
  const table = classTable();
  let length = 0;
  for (let i = 0; i < text.length; i++) length += densities[table[text.charCodeAt(i)]];
  return length;
}
