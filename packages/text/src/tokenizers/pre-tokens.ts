// GPT-2's pre-tokenisation: cuts text into contractions, words, numbers, symbol runs and white space. Merges never
// cross a cut. Not a tokenizer. Written as a scanner and not as the regular expression
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+
// that it equals (Radford et al., 2019, the released encoder): an engine keeps a place to go back to for every character of a
// run, and its stack ends at some millions of them.

const OTHER = 0;
const LETTER = 1;
const NUMBER = 2;
// White_Space and not \s: JavaScript's \s takes U+FEFF and leaves U+0085, unlike the engines the vocabulary was made with.
const WHITE = 3;

const SPACE = 0x20;
const APOSTROPHE = 0x27;
const CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/** Calls `visit` with each pre-token of `text`, in order. Their concatenation is `text`. Time is linear in the text. */
export function forEachPreToken(text: string, visit: (piece: string) => void): void {
  for (let start = 0; start < text.length; ) {
    const end = endOfPreToken(text, start);
    visit(text.slice(start, end));
    start = end;
  }
}

function endOfPreToken(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === APOSTROPHE) {
    const contraction = CONTRACTIONS.find((name) => text.startsWith(name, start));
    if (contraction !== undefined) return start + contraction.length;
  }
  // One space goes with the run after it.
  const begin = first === SPACE && start + 1 < text.length && kindAt(text, start + 1) !== WHITE ? start + 1 : start;
  const kind = kindAt(text, begin);
  const end = endOfRun(text, begin, kind);
  // White space before something leaves its last character to what follows, unless it is that character alone.
  return kind === WHITE && end < text.length && end - start > 1 ? end - 1 : end;
}

function endOfRun(text: string, start: number, kind: number): number {
  let at = start;
  while (at < text.length && kindAt(text, at) === kind) at += text.codePointAt(at)! > 0xffff ? 2 : 1;
  return at;
}

/** Kinds of 256 code points each, made when first met. */
const kinds: (Uint8Array | undefined)[] = [];

function kindAt(text: string, at: number): number {
  const point = text.codePointAt(at)!;
  const block = point >> 8;
  return (kinds[block] ??= kindsOfBlock(block))[point & 0xff];
}

function kindsOfBlock(block: number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, offset) => {
    const character = String.fromCodePoint(block * 256 + offset);
    if (/\p{L}/u.test(character)) return LETTER;
    if (/\p{N}/u.test(character)) return NUMBER;
    return /\p{White_Space}/u.test(character) ? WHITE : OTHER;
  });
}

/** Arguments that one call takes on every engine. */
const COPY_UNITS = 4096;

/**
 * A copy that does not keep the text it was cut from alive (engines represent long substrings as views). For strings
 * that outlive their document, such as cache keys.
 */
export function detachedCopy(piece: string): string {
  if (piece.length < 13) return piece;
  let copy = '';
  for (let start = 0; start < piece.length; start += COPY_UNITS) {
    const units = Array.from({ length: Math.min(COPY_UNITS, piece.length - start) }, (_, i) => piece.charCodeAt(start + i));
    copy += String.fromCharCode(...units);
  }
  return copy;
}
