// Text as words and back, for the dictionary baseline alone: words of any script, placeholders whole, punctuation apart.

const PLACEHOLDER = /(\{\d+\}|%[sd]|`[^`]*`)/;

/** The words, numbers, placeholders and marks of a text; white space is gone. */
export function createWordSplitter(language: string): (text: string) => string[] {
  const segmenter = new Intl.Segmenter(language, { granularity: 'word' });
  return (text) =>
    text.split(PLACEHOLDER).flatMap((part, i) =>
      i % 2 === 1 ? [part] : Array.from(segmenter.segment(part), ({ segment }) => segment).filter((segment) => segment.trim() !== ''),
    );
}

const ATTACH_LEFT = /^[.,;:!?%)\]}»”…]+$/;
const ATTACH_RIGHT = /^[([{«“„]+$/;
const SEPARATORS = /^[-/'’_]$/;
const QUOTES = new Set(['"', "'"]);

/** Words as a line of English: spaces between them except around marks. */
export function joinWords(words: readonly string[]): string {
  let line = '';
  let glue = true; // no space before the next word
  const open = new Set<string>();
  for (const word of words) {
    const closing = QUOTES.has(word) && open.has(word);
    if (!glue && !closing && !ATTACH_LEFT.test(word) && !(SEPARATORS.test(word) && !QUOTES.has(word))) line += ' ';
    line += word;
    glue = ATTACH_RIGHT.test(word) || (QUOTES.has(word) && !closing) || (SEPARATORS.test(word) && !QUOTES.has(word));
    if (closing) open.delete(word);
    else if (QUOTES.has(word)) open.add(word);
  }
  return line;
}
