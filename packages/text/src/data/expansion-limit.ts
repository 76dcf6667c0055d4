// How much a compressed file may grow when it is unpacked: one number for gzip, zstd and the pages of Parquet. Against small
// files that unpack to what no memory or disk holds; no corpus comes near the default.
import { XMoEError } from '@xmoe/core';

/** Times its compressed size. Text takes 3 to 20, logs and generated tables 100; gzip can reach 1,032 and zstd 32,768. */
export const DEFAULT_MAXIMUM_EXPANSION = 256;

/** So many unpacked bytes are always allowed: small files repeat themselves, and this much harms nobody. */
const ALWAYS_ALLOWED_BYTES = 1 << 26;

/** Refuses `unpacked` bytes out of `packed` ones when they are too many. `what` (`it`, `a page`) begins the message. */
export function checkExpansion(packed: number, unpacked: number, maximum: number, what: string): void {
  if (unpacked <= Math.max(ALWAYS_ALLOWED_BYTES, packed * maximum)) return;
  throw new XMoEError('data', `${what} unpacks to more than ${maximum} times its size (${unpacked} bytes out of ${packed})`, {
    hint: 'it looks made to exhaust the machine; if the file is to be trusted, raise maximumExpansion',
  });
}
