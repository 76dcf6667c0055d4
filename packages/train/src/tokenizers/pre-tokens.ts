// GPT-2's pre-tokenisation: cuts text into contractions, words, numbers, symbol runs and white space. Merges never
// cross a cut. Not a tokenizer.

// White_Space and not \s: JavaScript's \s takes U+FEFF and leaves U+0085, unlike the engines the vocabulary was made with.
const PRE_TOKEN =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Calls `visit` with each pre-token of `text`, in order. Their concatenation is `text`. */
export function forEachPreToken(text: string, visit: (piece: string) => void): void {
  const expression = new RegExp(PRE_TOKEN); // own lastIndex: `visit` may cut another text
  for (let match = expression.exec(text); match !== null; match = expression.exec(text)) visit(match[0]);
}

/**
 * A copy that does not keep the text it was cut from alive (engines represent long substrings as views). For strings
 * that outlive their document, such as cache keys.
 */
export function detachedCopy(piece: string): string {
  return piece.length < 13 ? piece : Buffer.from(piece, 'utf16le').toString('utf16le');
}
