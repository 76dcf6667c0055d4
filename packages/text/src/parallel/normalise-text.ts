// Texts brought to one form: for training (nothing that a reader would see changes) and for comparing (only letters and
// the places of numbers are left). Also a hash of texts.

/** Characters that show nothing: soft hyphen, zero-width space, word joiner, byte order mark, direction marks. */
const INVISIBLE = /[\u00AD\u061C\u200B\u2060\uFEFF\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu;
/** These and all others that Unicode calls ignorable: joiners and variation selectors too, which a text may need and a comparison not. */
const IGNORABLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu;
// Repetitions have a bound: an engine keeps a place to go back to for every character, and its stack ends at some millions of
// them. What a bound cuts is joined afterwards, where the repeated character is a plain one.
const BLANKS = /[\p{Cc}\p{White_Space}]{1,1000}/gu;
const NUMBERS = /\p{N}{1,1000}/gu;
const NOT_LETTERS = /[^\p{L}\p{M}0]{1,1000}/gu;
const SPACE = 0x20;
const NOT_ASCII = /[^\0-\x7f]/;

/** NFC, without invisible and control characters, white space as single spaces, none at the ends. */
export function normaliseText(text: string): string {
  if (isPlain(text)) return text;
  return text.replace(INVISIBLE, '').normalize('NFC').replace(BLANKS, ' ').replace(/ {2,}/g, ' ').trim();
}

/** Printable ASCII in order, as most lines are: no space at an end, nor two in a row. There is nothing to do then. */
function isPlain(text: string): boolean {
  let previous = SPACE;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < SPACE || unit > 0x7e || (unit === SPACE && previous === SPACE)) return false;
    previous = unit;
  }
  return previous !== SPACE || text === '';
}

/**
 * What is compared for near-duplicates: letters in lower case, numbers as 0, everything between them as one space; what shows
 * nothing is not there. Texts without letters and digits stay as they are, but for that.
 */
export function matchKey(text: string): string {
  const ascii = !NOT_ASCII.test(text);
  const visible = ascii ? text : text.replace(IGNORABLE, '');
  const lower = ascii ? text.toLowerCase() : visible.normalize('NFKC').toUpperCase().toLowerCase(); // by way of capitals: ß is ss
  const key = ascii
    ? lower.replace(/[0-9]+/g, '0').replace(/[^a-z0]+/g, ' ').trim() // the same, several times faster
    : lower.replace(NUMBERS, '0').replace(/0{2,}/g, '0').replace(NOT_LETTERS, ' ').replace(/ {2,}/g, ' ').trim();
  return key === '' ? visible : key;
}

/** A 53-bit hash of UTF-16 code units (two 32-bit multiplicative lanes). Not cryptographic: for tables and random choice. */
export function hashText53(text: string, salt = 0): number {
  let low = 0x9e3779b9 ^ salt;
  let high = 0x85ebca6b ^ salt;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x9e3779b1);
    high = Math.imul(high ^ unit, 0x5f356495);
    low = (low << 13) | (low >>> 19);
  }
  low = mix(low ^ high);
  high = mix(high ^ Math.imul(low, 0xc2b2ae35) ^ text.length);
  return (high & 0x1fffff) * 2 ** 32 + (low >>> 0);
}

function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
