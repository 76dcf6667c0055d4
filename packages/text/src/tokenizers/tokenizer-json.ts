// Byte-level BPE tokenizers to and from the Hugging Face `tokenizer.json` format. Refuses every part of that format that
// would change the ids and that we do not have, instead of ignoring it.
import { XMoEError } from '@xmoe/core';
import { z } from 'zod';
import { alphabetToBytes, bytesToAlphabet } from './byte-alphabet.js';
import { createBytePairTokenizer, type BytePairTokenizer } from './byte-pair-tokenizer.js';
import { MAXIMUM_VOCABULARY, pairKey } from './pair-merger.js';
import { END_OF_TEXT } from './tokenizer.js';

/** Made when it is asked for: who only learns a vocabulary has no use for it, and no need of zod. */
function tokenizerFileSchema() {
  const absent = z.union([z.null(), z.literal('')]).optional();
  const off = z.literal(false).optional();
  const flag = z.boolean().default(false);
  const tokenId = z
    .int()
    .min(0)
    .max(MAXIMUM_VOCABULARY - 1);

  const byteLevel = z.object({ type: z.literal('ByteLevel') });
  return z.object({
    added_tokens: z.array(
      z.object({ id: tokenId, content: z.string().min(1), single_word: off, lstrip: off, rstrip: off, special: flag, normalized: flag }),
    ),
    normalizer: z.null().optional(),
    pre_tokenizer: byteLevel.extend({ add_prefix_space: z.literal(false), use_regex: z.literal(true).optional() }),
    post_processor: z.union([z.null(), byteLevel]).optional(), // ByteLevel there moves offsets only, never ids
    decoder: byteLevel,
    truncation: z.null().optional(),
    padding: z.null().optional(),
    model: z.object({
      type: z.literal('BPE'),
      dropout: z.union([z.null(), z.literal(0)]).optional(),
      unk_token: absent,
      continuing_subword_prefix: absent,
      end_of_word_suffix: absent,
      byte_fallback: off,
      ignore_merges: off,
      vocab: z.record(z.string(), tokenId),
      merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
    }),
  });
}
type TokenizerFile = z.infer<ReturnType<typeof tokenizerFileSchema>>;

/** The tokenizer as the text of a `tokenizer.json` that Hugging Face `tokenizers` loads and that gives the same ids. */
export function tokenizerToJson(tokenizer: BytePairTokenizer): string {
  const { tokens, merges, specialTokens, addedTokens = new Map<string, number>(), matchedLater } = tokenizer.definition;
  const added = [...specialTokens, ...addedTokens].sort((a, b) => a[1] - b[1]);
  const nameOfAdded = new Map(added.map(([name, id]) => [id, name]));
  const names = tokens.map((bytes, id) => nameOfAdded.get(id) ?? bytesToAlphabet(bytes));
  const flags = { single_word: false, lstrip: false, rstrip: false };
  const part = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const mergeLines = Array.from(
    { length: merges.length / 3 },
    (_, rank) => `${names[merges[rank * 3]]} ${names[merges[rank * 3 + 1]]}`,
  );
  const file = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map(([content, id]) => ({
      id, content, ...flags, normalized: matchedLater?.has(content) ?? false, special: specialTokens.has(content),
    })),
    normalizer: null,
    pre_tokenizer: part,
    post_processor: null,
    decoder: part,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      // fromEntries and not assignment: a learned token may be spelled __proto__
      vocab: Object.fromEntries(names.map((name, id) => [name, id])),
      merges: mergeLines,
    },
  };
  return `${JSON.stringify(file, null, 1)}\n`;
}

/**
 * The tokenizer of a `tokenizer.json` text. `name` is what errors call it. Throws on anything but a byte-level BPE, on
 * ids that are not 0 … n − 1, and on merges whose parts or result are not in the vocabulary.
 */
export function tokenizerFromJson(json: string, name = 'tokenizer.json'): BytePairTokenizer {
  const file = parseFile(json, name);
  const ids = new Map(Object.entries(file.model.vocab));
  const added = new Map(file.added_tokens.map(({ content, id }) => [content, id]));
  if (added.size < file.added_tokens.length) fail(name, 'a text is there twice among added_tokens');
  for (const [content, id] of added) {
    if ((ids.get(content) ?? id) !== id) fail(name, `${content} is ${id} among added_tokens and ${ids.get(content)} in vocab`);
    ids.set(content, id);
  }
  const select = (special: boolean) => new Map(file.added_tokens.filter((token) => token.special === special).map(({ content, id }) => [content, id]));
  const specialTokens = select(true);
  if (!specialTokens.has(END_OF_TEXT)) {
    fail(name, `added_tokens lacks ${END_OF_TEXT}, or it is not special`, `add ${END_OF_TEXT}, the token that ends a document, as a special token`);
  }
  const utf8 = new TextEncoder();
  const tokens: Uint8Array[] = new Array(ids.size);
  for (const [text, id] of ids) {
    if (id >= ids.size || tokens[id] !== undefined) {
      fail(name, `token ${JSON.stringify(text)} has id ${id}: ids must be 0 … ${ids.size - 1}, each once`);
    }
    tokens[id] = added.has(text) ? utf8.encode(text) : alphabetToBytes(text);
  }
  const merges = readMerges(file, ids, name);
  return createBytePairTokenizer({ kind: 'byte-level-bpe', tokens, merges, specialTokens, ...notSpecial(select(false), file) });
}

/** What a definition says beyond special tokens; nothing where it makes no difference, so that equal tokenizers have equal hashes. */
function notSpecial(addedTokens: ReadonlyMap<string, number>, file: TokenizerFile) {
  const later = file.added_tokens.filter(({ normalized }) => normalized).map(({ content }) => content);
  return {
    ...(addedTokens.size > 0 && { addedTokens }),
    // All in one pass is the same, whichever it is.
    ...(later.length > 0 && later.length < file.added_tokens.length && { matchedLater: new Set(later) }),
  };
}

function parseFile(json: string, name: string): TokenizerFile {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    fail(name, 'not valid JSON', 'the file is damaged or cut short: make or copy it again', cause);
  }
  const result = tokenizerFileSchema().safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  return fail(
    name,
    `${issue.path.join('.') || 'the file'}: ${issue.message}`,
    'only byte-level BPE without normalizer, prefix space or dropout is supported (as GPT-2)',
  );
}

function readMerges(file: TokenizerFile, ids: ReadonlyMap<string, number>, name: string): Int32Array {
  const merges = new Int32Array(file.model.merges.length * 3);
  const seen = new Set<number>();
  file.model.merges.forEach((line, rank) => {
    const parts = typeof line === 'string' ? line.split(' ') : line;
    const left = ids.get(parts[0]);
    const right = ids.get(parts[1]);
    const merged = ids.get(parts.join(''));
    if (parts.length !== 2 || left === undefined || right === undefined || merged === undefined) {
      fail(name, `merge ${rank} ${JSON.stringify(line)}: a part or the result is not in the vocabulary`);
    }
    if (seen.has(pairKey(left, right))) fail(name, `merge ${rank} ${JSON.stringify(line)} is there twice`);
    seen.add(pairKey(left, right));
    merges.set([left, right, merged], rank * 3);
  });
  return merges;
}

function fail(name: string, problem: string, hint = 'the file is damaged: make or copy it again', cause?: unknown): never {
  throw new XMoEError('data', `${name}: ${problem}`, { op: 'tokenizer', hint, cause });
}
