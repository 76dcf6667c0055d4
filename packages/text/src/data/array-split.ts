// A split that lies in memory: for small corpora, tests and tokens from elsewhere. No files.
import { XMoEError } from '@xmoe/core';
import type { TokenSplit } from './token-split.js';

/** A {@link TokenSplit} over an array (not copied). `bytes` is the UTF-8 size of its text; give it for bits per byte. */
export function createArraySplit(
  tokens: ArrayLike<number>,
  { name = 'tokens', bytes = 0, documents = 1 }: { name?: string; bytes?: number; documents?: number } = {},
): TokenSplit {
  const { length } = tokens;
  return {
    name,
    length,
    bytes,
    documents,
    read(offset, count, out) {
      if (!(Number.isInteger(offset) && offset >= 0 && count >= 0 && offset + count <= length && count <= out.length)) {
        throw new XMoEError('value', `cannot read ${count} tokens at ${offset} into ${out.length} places`, {
          op: `read ${name}`,
          hint: `the split has ${length} tokens`,
        });
      }
      for (let i = 0; i < count; i++) out[i] = tokens[offset + i];
    },
  };
}
