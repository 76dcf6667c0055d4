// Streams the bytes of a plain, gzipped or zstd file. Knows nothing of what the bytes mean.
import { createReadStream, type ReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { XMoEError } from '@xmoe/core';
import { checkExpansion, DEFAULT_MAXIMUM_EXPANSION } from './expansion-limit.js';
import { unpackZstd } from './unpack-zstd.js';

export type Compression = 'gzip' | 'zstd';

/** A file to read, with its compression. */
export interface PackedFile {
  readonly path: string;
  readonly compression: Compression | undefined;
  /** Most times its packed size that it may unpack to. Default {@link DEFAULT_MAXIMUM_EXPANSION}. */
  readonly maximumExpansion?: number;
}

const CHUNK_BYTES = 1 << 18;

/** What the ending of a file name says about its compression. */
export function compressionOf(name: string): Compression | undefined {
  if (/\.gz$/i.test(name)) return 'gzip';
  return /\.zst$/i.test(name) ? 'zstd' : undefined;
}

/** A file name without `.gz` or `.zst`. */
export const withoutCompression = (name: string): string => name.replace(/\.(gz|zst)$/i, '');

/**
 * The unpacked bytes of a file in order; checksums are verified. Throws, naming `op`, when it cannot be read whole, and when
 * it unpacks to more than it may.
 */
export async function* openBytes({ path, compression, maximumExpansion }: PackedFile, op: string): AsyncGenerator<Buffer> {
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  try {
    if (compression === undefined) for await (const chunk of file) yield chunk as Buffer;
    else {
      let unpacked = 0;
      for await (const chunk of unpack(file, compression)) {
        unpacked += chunk.length;
        checkExpansion(file.bytesRead, unpacked, maximumExpansion ?? DEFAULT_MAXIMUM_EXPANSION, 'it');
        yield chunk;
      }
      if (file.bytesRead === 0) throw new Error('the file is empty');
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const hint = cause instanceof XMoEError ? cause.hint : hints[compression ?? 'none'];
    throw new XMoEError('data', `${path}: cannot be read to its end: ${reason}`, { op, hint, cause });
  } finally {
    file.destroy();
  }
}

const hints = {
  gzip: 'the file is cut short, damaged or not gzip: fetch it again, and check with gzip -t',
  zstd: 'the file is cut short, damaged or not zstd: fetch it again, and check with zstd -t',
  none: 'check the file',
};

async function* unpack(file: ReadStream, compression: Compression): AsyncGenerator<Buffer> {
  if (compression === 'zstd') return yield* unpackZstd(file);
  const unpacked = createGunzip({ chunkSize: CHUNK_BYTES });
  // pipeline and not pipe: it passes errors of the file on to the reader of `unpacked`
  const done = pipeline(file, unpacked);
  done.catch(() => undefined); // an error ends the iteration; what is left of the file after the end of its data is no error
  for await (const chunk of unpacked) yield chunk as Buffer;
}
