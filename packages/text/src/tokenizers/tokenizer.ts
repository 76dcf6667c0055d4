// What every tokenizer offers to the data pipeline, and the name of the end-of-text token. No implementation here.

/** The text form of the token that ends a document. */
export const END_OF_TEXT = '<|endoftext|>';

export interface EncodeOptions {
  /** Turn the text forms of special tokens into those tokens. Off: they are ordinary text. */
  allowSpecial?: boolean;
}

/** Text to token ids and back, without loss for any well-formed string. */
export interface Tokenizer {
  /** `gpt2` or `byte-level-bpe`. */
  readonly kind: string;
  /** Number of ids, special tokens included: ids are 0 … vocabularySize − 1. */
  readonly vocabularySize: number;
  /** The id written after each document. */
  readonly endOfText: number;
  /** Text form → id of every special token, {@link END_OF_TEXT} among them. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** sha256 (hex) of the definition: equal hashes give equal ids for every text. */
  readonly hash: string;
  encode(text: string, options?: EncodeOptions): Int32Array;
  /** The text of `tokens`; bytes that are not UTF-8 (a character cut in two) become U+FFFD. Throws on unknown ids. */
  decode(tokens: ArrayLike<number>): string;
  /** The bytes one token stands for; for a special token, those of its text form. Throws on an unknown id. */
  tokenBytes(token: number): Uint8Array;
}
