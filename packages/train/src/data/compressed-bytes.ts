// Streams the bytes of a plain, gzipped or zstd file. Knows nothing of what the bytes mean.
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { XMoEError } from '@xmoe/core';
import { Decompress } from 'fzstd';

export type Compression = 'gzip' | 'zstd';

const CHUNK_BYTES = 1 << 18;

/** What the ending of a file name says about its compression. */
export function compressionOf(name: string): Compression | undefined {
  if (/\.gz$/i.test(name)) return 'gzip';
  return /\.zst$/i.test(name) ? 'zstd' : undefined;
}

/** A file name without `.gz` or `.zst`. */
export const withoutCompression = (name: string): string => name.replace(/\.(gz|zst)$/i, '');

/** The unpacked bytes of a file in order. Throws, naming `op`, when it cannot be read whole. */
export async function* openBytes(path: string, compression: Compression | undefined, op: string): AsyncGenerator<Buffer> {
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  try {
    if (compression === undefined) for await (const chunk of file) yield chunk as Buffer;
    else if (compression === 'zstd') yield* unpackZstd(file);
    else {
      const unpacked = createGunzip({ chunkSize: CHUNK_BYTES });
      // pipeline and not pipe: it passes errors of the file on to the reader of `unpacked`
      const done = pipeline(file, unpacked);
      done.catch(() => undefined); // reported below through the iteration
      for await (const chunk of unpacked) yield chunk as Buffer;
      await done;
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new XMoEError('data', `${path}: cannot be read to its end: ${reason}`, { op, hint: hints[compression ?? 'none'], cause });
  } finally {
    file.destroy();
  }
}

const hints = {
  gzip: 'the file is cut short or not gzip: fetch it again, and check with gzip -t',
  zstd: 'the file is cut short or not zstd: fetch it again, and check with zstd -t',
  none: 'check the file',
};

async function* unpackZstd(file: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let blocks: Buffer[] = [];
  const unpacker = new Decompress((block) => blocks.push(Buffer.from(block))); // a copy: the unpacker may write there again
  let empty = true;
  for await (const chunk of file) {
    empty = false;
    unpacker.push(chunk);
    yield* blocks;
    blocks = [];
  }
  if (empty) throw new Error('the file is empty');
  unpacker.push(new Uint8Array(0), true);
  yield* blocks;
}
