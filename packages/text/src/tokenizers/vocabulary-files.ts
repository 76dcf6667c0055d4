// The older form of a byte-level BPE: vocab.json and merges.txt, as GPT-2 was released. It becomes a tokenizer.json and is read as one,
// so that nothing is checked twice. Not other vocabularies with these names (WordPiece, SentencePiece).
import { XMoEError } from '@xmoe/core';
import { parseJson } from '@xmoe/files';
import type { BytePairTokenizer } from './byte-pair-tokenizer.js';
import { tokenizerFromJson } from './tokenizer-json.js';
import { END_OF_TEXT } from './tokenizer.js';

/** Texts of the two files. */
export interface VocabularyFiles {
  /** Token → id. */
  readonly vocab: string;
  /** A merge a line, `left right`, in rank order; a first line `#version …` is none. */
  readonly merges: string;
}

/**
 * The tokenizer of `vocab.json` and `merges.txt`. `name` is what errors call them.
 * @throws XMoEError `data` as for a tokenizer.json, and for a vocabulary without the end of text
 */
export function tokenizerFromVocabulary({ vocab, merges }: VocabularyFiles, name = 'vocab.json and merges.txt'): BytePairTokenizer {
  const tokens = parseJson(vocab, { where: name, code: 'data' });
  const id = typeof tokens === 'object' && tokens !== null ? (tokens as Record<string, unknown>)[END_OF_TEXT] : undefined;
  if (typeof id !== 'number') {
    throw new XMoEError('data', `${name}: the vocabulary lacks ${END_OF_TEXT}`, { op: 'tokenizer', hint: 'only vocabularies like that of GPT-2 are supported' });
  }
  const lines = merges.split(/\r?\n/);
  const ranked = lines.slice(lines[0]?.startsWith('#version') ? 1 : 0).filter((line) => line !== '');
  const part = { type: 'ByteLevel', add_prefix_space: false };
  return tokenizerFromJson(JSON.stringify({
    added_tokens: [{ id, content: END_OF_TEXT, special: true }], pre_tokenizer: part, decoder: part, model: { type: 'BPE', vocab: tokens, merges: ranked },
  }), name);
}
