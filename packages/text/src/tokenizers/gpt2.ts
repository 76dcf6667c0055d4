// GPT-2's tokenizer (50,257 tokens). The vocabulary comes from the npm package gpt-tokenizer; encoding and decoding are
// ours, because that package takes time quadratic in a run without spaces, keeps cut characters from one decode call to
// the next, drops a leading U+FEFF and splits white space the JavaScript way. A test compares the two.
import ranks from 'gpt-tokenizer/bpeRanks/r50k_base';
import { createBytePairTokenizer, type BytePairDefinition, type BytePairTokenizer } from './byte-pair-tokenizer.js';
import { END_OF_TEXT } from './tokenizer.js';

let definition: BytePairDefinition | undefined;

/** GPT-2's byte-level BPE; the end of text is 50256 (Radford et al., 2019). */
export function createGpt2Tokenizer(): BytePairTokenizer {
  definition ??= buildDefinition();
  return createBytePairTokenizer(definition);
}

function buildDefinition(): BytePairDefinition {
  const utf8 = new TextEncoder();
  const tokens = ranks.map((token) => (typeof token === 'string' ? utf8.encode(token) : Uint8Array.from(token)));
  const merges = recoverMerges(tokens);
  const specialTokens = new Map([[END_OF_TEXT, tokens.length]]);
  return { kind: 'gpt2', tokens: [...tokens, utf8.encode(END_OF_TEXT)], merges, specialTokens };
}

/**
 * The merge that makes each token, from the token list alone (which is in rank order): ids by bytes, then for each
 * token the pair into which the merges of lower rank leave it.
 */
function recoverMerges(tokens: readonly Uint8Array[]): Int32Array {
  const latin1 = (bytes: Uint8Array) => String.fromCharCode(...bytes);
  const ids = new Map(tokens.map((bytes, id) => [latin1(bytes), id]));
  const merges = new Int32Array((tokens.length - 256) * 3);
  for (let id = 256; id < tokens.length; id++) {
    const [left, right] = splitBelow(latin1(tokens[id]), id, ids);
    merges.set([left, right, id], (id - 256) * 3);
  }
  return merges;
}

/** Merges the bytes of a token by the lowest id below `limit` until two parts are left, and returns their ids. */
function splitBelow(token: string, limit: number, ids: ReadonlyMap<string, number>): [number, number] {
  let parts = [...token];
  while (parts.length > 2) {
    let best = limit;
    let at = -1;
    for (let i = 0; i + 1 < parts.length; i++) {
      const id = ids.get(parts[i] + parts[i + 1]);
      if (id !== undefined && id < best) {
        best = id;
        at = i;
      }
    }
    parts = [...parts.slice(0, at), parts[at] + parts[at + 1], ...parts.slice(at + 2)];
  }
  return [ids.get(parts[0])!, ids.get(parts[1])!];
}
