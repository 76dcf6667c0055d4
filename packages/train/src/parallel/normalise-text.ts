// Texts brought to one form: for training (nothing that a reader would see changes) and for comparing (only letters and
// the places of numbers are left). Also a hash of texts.

/** Characters that show nothing: soft hyphen, zero-width space, word joiner, byte order mark, direction marks. */
const INVISIBLE = /[\u00AD\u200B\u2060\uFEFF\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu;
const BLANKS = /[\p{Cc}\p{White_Space}]+/gu;
const ASCII = /^[\0-\x7f]*$/;
const PLAIN = /^(?! )(?:[!-~]| (?! |$))*$/;

/** NFC, without invisible and control characters, white space as single spaces, none at the ends. */
export function normaliseText(text: string): string {
  if (PLAIN.test(text)) return text; // ASCII in order: nothing to do
  return text.replace(INVISIBLE, '').normalize('NFC').replace(BLANKS, ' ').trim();
}

/**
 * What is compared for near-duplicates: letters in lower case, numbers as 0, everything between them as one space. Texts
 * without letters and digits stay as they are.
 */
export function matchKey(text: string): string {
  const ascii = ASCII.test(text);
  const lower = (ascii ? text : text.normalize('NFKC')).toLowerCase();
  const key = ascii
    ? lower.replace(/[0-9]+/g, '0').replace(/[^a-z0]+/g, ' ').trim() // the same, several times faster
    : lower.replace(/\p{N}+/gu, '0').replace(/[^\p{L}\p{M}0]+/gu, ' ').trim();
  return key === '' ? text : key;
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
