// Tokens that are looked for in a text before it is cut into pre-tokens: special ones, where the caller allows it, and the added ones
// of a tokenizer.json that are not special, always. As Hugging Face `tokenizers` does it: at each place the longest.

export interface AddedTokens {
  /** Text form → id of the special tokens. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** Text form → id of added tokens that are not special. */
  readonly addedTokens?: ReadonlyMap<string, number>;
  /** Text forms of either that are looked for after the others, in what these leave (`normalized` in tokenizer.json). */
  readonly matchedLater?: ReadonlySet<string>;
}

/** Walks over a text in order: `onToken` for each token found, `onText` for the pieces between. */
export type SplitText = (text: string, allowSpecial: boolean, onToken: (id: number) => void, onText: (piece: string) => void) => void;

/** How texts are split at `tokens`. */
export function createTextSplitter({ specialTokens, addedTokens = new Map(), matchedLater = new Set() }: AddedTokens): SplitText {
  const passes = [specialTokens, new Map<string, number>()].map((special) => {
    const ids = new Map([...special, ...addedTokens]);
    const names = [...ids.keys()];
    const both = [names.filter((name) => !matchedLater.has(name)), names.filter((name) => matchedLater.has(name))];
    return { ids, expressions: both.filter((some) => some.length > 0).map(expressionOf) };
  });
  return (text, allowSpecial, onToken, onText) => {
    const { ids, expressions } = passes[allowSpecial ? 0 : 1];
    const split = (piece: string, pass: number): void => {
      if (pass === expressions.length) return onText(piece);
      // split with a capture group: odd elements are the tokens' texts
      piece.split(expressions[pass]).forEach((part, index) => {
        if (index % 2 === 1) onToken(ids.get(part)!);
        else split(part, pass + 1);
      });
    };
    split(text, 0);
  };
}

function expressionOf(names: readonly string[]): RegExp {
  // Longest first, so that a token that begins with another one is found whole.
  const sorted = names.toSorted((a, b) => b.length - a.length);
  return new RegExp(`(${sorted.map((name) => name.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|')})`);
}
