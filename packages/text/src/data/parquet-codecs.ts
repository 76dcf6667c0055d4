// Unpacks the bytes of one Parquet page, with a limit on how much they may grow to. Which pages there are: parquet-pages.ts.
import * as zlib from 'node:zlib';
import type { Compressors } from 'hyparquet';
import { checkExpansion } from './expansion-limit.js';

export type PageCodec = 'UNCOMPRESSED' | keyof Compressors;

/** Unpacks `bytes` to `unpackedBytes`. Throws errors without the file's name. */
export type UnpackPage = (bytes: Uint8Array, codec: PageCodec, unpackedBytes: number) => Uint8Array;

/** What newer versions of Node add to zlib; it verifies checksums, which the decoder of older ones passes over. */
interface ZstdInZlib {
  zstdDecompressSync?: (bytes: Uint8Array, options: { maxOutputLength: number }) => Buffer;
}

/** Loaded only when a table is opened: one of the decoders is compiled from WebAssembly at once. */
export async function createPageUnpacker(maximumExpansion: number): Promise<UnpackPage> {
  const { compressors } = await import('hyparquet-compressors');
  const { zstdDecompressSync } = zlib as ZstdInZlib;
  const decoders: Compressors = {
    ...compressors,
    // Node's own: quicker, and it verifies the checksum.
    GZIP: (bytes, length) => zlib.unzipSync(bytes, { maxOutputLength: Math.max(1, length) }),
    ...(zstdDecompressSync === undefined ? {} : { ZSTD: (bytes, length) => zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, length) }) }),
  };
  return (bytes, codec, unpackedBytes) => {
    if (codec === 'UNCOMPRESSED') return bytes;
    const decode = decoders[codec];
    if (decode === undefined) throw new Error(`its compression ${codec} is not known`);
    checkExpansion(bytes.length, unpackedBytes, maximumExpansion, 'a page');
    if (unpackedBytes === 0) return new Uint8Array(0);
    const unpacked = decode(bytes, unpackedBytes);
    if (unpacked.length !== unpackedBytes) throw new Error(`a page unpacks to ${unpacked.length} bytes and not to the ${unpackedBytes} it says`);
    return unpacked;
  };
}
