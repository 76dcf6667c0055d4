// Interface messages of an editor in thirteen languages, from MIT-licensed npm packages: the parallel text of the demo. The
// messages of two packs are aligned by position. English comes from the pseudo-localised pack, where each letter was swapped.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { nearestName, XMoEError } from '@xmoe/core';
import type { PairCorpus, TextPair } from '@xmoe/text';

const PREFIX = '@codingame/monaco-vscode-language-pack-';
const MESSAGES_FILE = 'translations/main.i18n.json.js';
const PSEUDO = 'qps-ploc';
const OP = 'languagePackPairs';

/** Language code → name of the pack. English is read from the pseudo-localised one. */
const PACKS: Readonly<Record<string, string>> = {
  en: PSEUDO, de: 'de', ru: 'ru', zh: 'zh-hans', fr: 'fr', es: 'es', it: 'it', ja: 'ja', ko: 'ko', pl: 'pl', cs: 'cs', tr: 'tr',
  'pt-br': 'pt-br',
};

/** Codes that have a pack. */
export const languagePackCodes: readonly string[] = Object.keys(PACKS);

const SWAPPED = 'æaþbçcðdëeïiñnøoµuÿyÆAßBÇCÐDËEÏI£LÑNØO§SÜUÝY';
const LETTER = new Map(Array.from({ length: SWAPPED.length / 2 }, (_, i) => [SWAPPED[2 * i], SWAPPED[2 * i + 1]]));

/** Pseudo-localised text as it was in English. */
export function fromPseudoLocale(text: string): string {
  return Array.from(text, (character) => LETTER.get(character) ?? character).join('');
}

/** Messages shorter than this many English words are labels, often the same in both languages. */
const LEAST_WORDS = 4;

/**
 * The distinct messages of at least four words (in English) in both languages, in the order of the packs. Throws on a
 * language without a pack and on a pack that is not installed.
 */
export function languagePackPairs(source: string, target = 'en'): TextPair[] {
  const [english, sources, targets] = ['en', source, target].map(messagesOf);
  const seen = new Set<string>();
  return english.flatMap((message, position): TextPair[] => {
    const pair = { source: sources[position] ?? '', target: targets[position] ?? '', place: `${PACKS[source]} message ${position}` };
    const key = `${pair.source}\0${pair.target}`;
    if (message === null || message.split(/\s+/).length < LEAST_WORDS || seen.has(key)) return [];
    seen.add(key);
    return [pair];
  });
}

/** {@link languagePackPairs} as a corpus. */
export function languagePackCorpus(source: string, target = 'en'): PairCorpus {
  const packs = [source, target, 'en'].map((code) => `${PREFIX}${packOf(code)}@${locate(packOf(code)).version}`);
  return {
    label: `language packs ${source}-${target}`,
    fingerprint: `npm: ${packs.join(' ')}, ${LEAST_WORDS} words, 1`,
    pairs: languagePackPairs(source, target),
  };
}

/** Every message of a language; null where the editor has none. */
function messagesOf(code: string): readonly (string | null)[] {
  const pack = packOf(code);
  const path = join(locate(pack).directory, MESSAGES_FILE);
  const file = readFileSync(path, 'utf8');
  // A module of one array of strings and `undefined`; read as data and not run.
  const array = file.slice(file.indexOf('['), file.lastIndexOf(']') + 1).replace(/^\tundefined(,?)$/gm, '\tnull$1');
  let messages: (string | null)[];
  try {
    messages = JSON.parse(array) as (string | null)[];
  } catch (cause) {
    throw new XMoEError('data', `${path} is not a list of messages`, {
      op: OP, hint: 'the package is damaged or of another version: install the one that package.json names', cause,
    });
  }
  return messages.map((message) => message && withoutMnemonics(pack === PSEUDO ? fromPseudoLocale(message) : message));
}

/** `&&Open` and `打开(&&O)`: the key that opens a menu entry is not language. */
function withoutMnemonics(message: string): string {
  return message.replace(/\s?[（(]&&\S[)）]/g, '').replaceAll('&&', '');
}

function packOf(code: string): string {
  const key = code.toLowerCase() === 'zh-hans' ? 'zh' : code.toLowerCase();
  if (Object.hasOwn(PACKS, key)) return PACKS[key];
  const near = nearestName(key, languagePackCodes);
  throw new XMoEError('config', `there is no language pack for "${code}"`, {
    op: OP,
    hint: `${near === undefined || key.length === 2 ? '' : `did you mean "${near}"? `}languages with a pack: ${languagePackCodes.join(', ')}; for others name your own files`,
  });
}

function locate(pack: string): { directory: string; version: string } {
  const require = createRequire(import.meta.url);
  const name = `${PREFIX}${pack}`;
  try {
    const manifest = require.resolve(`${name}/package.json`);
    return { directory: dirname(manifest), version: (require(manifest) as { version: string }).version };
  } catch (cause) {
    throw new XMoEError('data', `the language pack ${name} is not installed`, {
      op: OP,
      hint: `run npm start or pnpm install in the repository, or npm install --no-save ${name}@25.1.2`,
      cause,
    });
  }
}
