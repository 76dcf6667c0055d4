// The text of each token within its text, for showing tokens to people. Decoding them one by one would cut characters in pieces.
import type { Tokenizer } from './tokenizer.js';

/**
 * The texts of `tokens`, which joined are the whole text. A character spread over several tokens comes with the last of them; a token
 * that completes none is ''.
 */
export function tokenTexts(tokenizer: Tokenizer, tokens: ArrayLike<number>): string[] {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return Array.from(tokens, (token, index) => decoder.decode(tokenizer.tokenBytes(token), { stream: index < tokens.length - 1 }));
}
