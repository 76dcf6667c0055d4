// The byte-level BPE tokenizer: a vocabulary of byte strings, ranked merges and special tokens, with a cache per
// pre-token. It does not train and does not read files.
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { XMoEError } from '@xmoe/core';
import { createTextSplitter, type AddedTokens } from './added-tokens.js';
import { createPairMerger } from './pair-merger.js';
import { joinBytes } from './join-bytes.js';
import { detachedCopy, forEachPreToken } from './pre-tokens.js';
import { END_OF_TEXT, type Tokenizer } from './tokenizer.js';

/** Everything that decides the ids a text gets. */
export interface BytePairDefinition extends AddedTokens {
  readonly kind: string;
  /** Bytes of each id. All 256 single bytes are there. */
  readonly tokens: readonly Uint8Array[];
  /** (left id, right id, merged id) triples in rank order. */
  readonly merges: Int32Array;
}

/** A byte-level BPE tokenizer; `definition` is what `tokenizerToJson` writes. */
export interface BytePairTokenizer extends Tokenizer {
  readonly definition: BytePairDefinition;
}

const CACHE_ENTRIES = 1 << 17;
const LONGEST_CACHED = 32;

/** A tokenizer from its definition. Throws when a single byte or the end-of-text token is missing. */
export function createBytePairTokenizer(definition: BytePairDefinition): BytePairTokenizer {
  const { tokens, specialTokens } = definition;
  const endOfText = specialTokens.get(END_OF_TEXT);
  if (endOfText === undefined) {
    throw new XMoEError('data', `the special token ${END_OF_TEXT} is missing`, {
      op: 'tokenizer',
      hint: `add ${END_OF_TEXT} to the special tokens`,
    });
  }
  const appendPieces = createPieceEncoder(definition);
  const split = createTextSplitter(definition);
  let hash: string | undefined;

  const tokenBytes = (token: number): Uint8Array => {
    const bytes = tokens[token];
    if (bytes === undefined) {
      throw new XMoEError('value', `token ${token} is outside the vocabulary of ${tokens.length}`, {
        op: 'tokenizer',
        hint: 'the tokens come from another tokenizer: compare the tokenizer hashes',
      });
    }
    return bytes;
  };

  return {
    kind: definition.kind,
    definition,
    vocabularySize: tokens.length,
    endOfText,
    specialTokens,
    get hash() {
      return (hash ??= hashDefinition(definition));
    },
    tokenBytes,
    encode(text, options = {}) {
      const out: number[] = [];
      split(text, options.allowSpecial === true, (id) => out.push(id), (piece) => appendPieces(piece, out));
      return Int32Array.from(out);
    },
    decode(ids) {
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(joinBytes(Array.from(ids, tokenBytes)));
    },
  };
}

/** Appends the ids of a text without special tokens to `out`. */
function createPieceEncoder(definition: BytePairDefinition): (text: string, out: number[]) => void {
  const byteIds = singleByteIds(definition);
  const merge = createPairMerger(definition.merges);
  const utf8 = new TextEncoder();
  const cache = new Map<string, number[]>();

  const encodePiece = (piece: string): number[] => merge(Array.from(utf8.encode(piece), (byte) => byteIds[byte]));

  return (text, out) =>
    forEachPreToken(text, (piece) => {
      let ids = cache.get(piece);
      if (ids === undefined) {
        ids = encodePiece(piece);
        if (cache.size >= CACHE_ENTRIES) cache.clear(); // bounded; the frequent pieces are back at once
        if (piece.length <= LONGEST_CACHED) cache.set(detachedCopy(piece), ids);
      }
      for (let i = 0; i < ids.length; i++) out.push(ids[i]);
    });
}

function singleByteIds({ tokens, specialTokens }: BytePairDefinition): Int32Array {
  const special = new Set(specialTokens.values());
  const ids = new Int32Array(256).fill(-1);
  tokens.forEach((bytes, id) => {
    if (bytes.length === 1 && !special.has(id)) ids[bytes[0]] = id;
  });
  const missing = ids.indexOf(-1);
  if (missing >= 0) {
    throw new XMoEError('data', `the vocabulary has no token for byte 0x${missing.toString(16).padStart(2, '0')}`, {
      op: 'tokenizer',
      hint: 'a byte-level vocabulary holds all 256 bytes; train with the byte-level alphabet',
    });
  }
  return ids;
}

function hashDefinition({ tokens, merges, specialTokens, addedTokens, matchedLater }: BytePairDefinition): string {
  const hash = sha256.create();
  const update = (text: string) => hash.update(utf8ToBytes(text));
  update(`byte-level-bpe 1 ${tokens.length} ${merges.length / 3}\n`);
  // Decimal text and not the array's memory: the same hash on machines of either byte order.
  for (const bytes of tokens) update(`${bytes.length}:`).update(bytes);
  update(merges.join(','));
  const special = [...specialTokens].sort((a, b) => a[1] - b[1]);
  update(JSON.stringify(special));
  if (addedTokens || matchedLater) update(JSON.stringify([[...(addedTokens ?? [])].sort((a, b) => a[1] - b[1]), [...(matchedLater ?? [])].sort()]));
  return bytesToHex(hash.digest());
}
