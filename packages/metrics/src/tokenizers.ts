// The tokenizers of BLEU by their names in sacreBLEU. Each gives the words whose n-grams are counted; none of them is meant
// for anything but scoring.
import { MetricsError } from './errors.js';
import { splitWords, trim } from './white-space.js';

/** `13a`: mteval-v13a, the default. `zh`: Han characters apart. `intl`: mteval-v14. `char`: characters. `none`: words as they are. */
export type TokenizerName = '13a' | 'zh' | 'intl' | 'char' | 'none';

const tokenizers: Readonly<Record<TokenizerName, (line: string) => string[]>> = {
  '13a': tokenize13a,
  zh: tokenizeZh,
  intl: tokenizeIntl,
  char: (line) => splitWords(Array.from(line).join(' ')),
  none: splitWords,
};

/** Names that `tokenize` takes. */
export const tokenizerNames = Object.keys(tokenizers) as TokenizerName[];

/** The words of a line. */
export type Tokenize = (line: string) => string[];

/** The tokenizer of that name. Throws on any other. */
export function tokenizerOf(name: string): Tokenize {
  if (Object.hasOwn(tokenizers, name)) return tokenizers[name as TokenizerName];
  throw new MetricsError(`unknown tokenizer "${name}"`, { op: 'bleu', hint: `known: ${tokenizerNames.join(', ')}` });
}

/** The language-dependent part of mteval-v13a, for Western languages. */
function splitWestern(line: string): string[] {
  const spaced = line
    .replace(/[{-~[-` -&(-+:-@/]/g, ' $& ')
    .replace(/([^0-9])([.,])/gu, '$1 $2 ') // unless a digit precedes
    .replace(/([.,])([^0-9])/gu, ' $1 $2') // unless a digit follows
    .replace(/([0-9])(-)/g, '$1 $2 ');
  return splitWords(spaced);
}

function tokenize13a(line: string): string[] {
  const joined = line.replaceAll('<skipped>', '').replaceAll('-\n', '').replaceAll('\n', ' ');
  const unescaped = joined.replaceAll('&quot;', '"').replaceAll('&amp;', '&').replaceAll('&lt;', '<').replaceAll('&gt;', '>');
  return splitWestern(` ${unescaped} `);
}

/**
 * What sacreBLEU sets apart as Chinese. Its list means to name two ranges beyond U+FFFF and by a slip of notation names
 * U+2001 … U+2A6D and U+2F81 … U+2FA1 instead: dashes, quotation marks and arrows count, rare ideographs do not.
 */
const CHINESE =
  /[\u2001-\u2a6d\u2e80-\u2fdf\u2ff0-\u303f\u3100-\u312f\u31a0-\u31bf\u31c0-\u31ef\u3200-\u4db5\u4e00-\u9fbb\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9\ufe10-\ufe1f\ufe30-\ufe4f\uff00-\uffef]/g;

function tokenizeZh(line: string): string[] {
  return splitWestern(trim(line).replace(CHINESE, ' $& '));
}

/** Punctuation apart unless between digits, symbols apart always. */
function tokenizeIntl(line: string): string[] {
  const spaced = line
    .replace(/(\P{N})(\p{P})/gu, '$1 $2 ')
    .replace(/(\p{P})(\P{N})/gu, ' $1 $2')
    .replace(/\p{S}/gu, ' $& ');
  return splitWords(spaced);
}
