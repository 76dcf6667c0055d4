// The three special tokens of a translation model, by their text form, and their ids in a tokenizer. One vocabulary serves
// both languages.
import { XMoEError } from '@xmoe/core';
import { END_OF_TEXT, type Tokenizer } from '../tokenizers/tokenizer.js';

/** Fills the short rows of a batch. Never routed, never in a loss. */
export const PADDING = '<|padding|>';
/** The decoder's first input. */
export const BEGIN_OF_SENTENCE = '<|beginofsentence|>';
/** Ends every source and every target: the end-of-text token of the tokenizers. */
export const END_OF_SENTENCE = END_OF_TEXT;

/** Ids of the special tokens. */
export interface TranslationTokens {
  readonly padding: number;
  readonly beginOfSentence: number;
  readonly endOfSentence: number;
}

/** The ids in `tokenizer`. Throws, naming the token, when it was not made for translation. */
export function translationTokensOf(tokenizer: Tokenizer, name = 'the tokenizer'): TranslationTokens {
  const idOf = (text: string): number => {
    const id = tokenizer.specialTokens.get(text);
    if (id !== undefined) return id;
    throw new XMoEError('data', `${name} has no special token ${text}`, {
      op: 'translationTokensOf',
      hint: `use a tokenizer that prepare made, or add ${PADDING} and ${BEGIN_OF_SENTENCE} to its special tokens`,
    });
  };
  return { padding: idOf(PADDING), beginOfSentence: idOf(BEGIN_OF_SENTENCE), endOfSentence: idOf(END_OF_SENTENCE) };
}
