// Streams a plain or gzipped file as lines of bytes. Bytes and not text, so that invalid UTF-8 can be pinned to a line.
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { XMoEError } from '@xmoe/core';

const LINE_FEED = 10;

/** Lines with their line feed (the last one may lack it), several per step. Throws when the file cannot be read whole. */
export async function* readByteLines(path: string, gzip: boolean): AsyncGenerator<Buffer[]> {
  let partial: Buffer[] = [];
  for await (const chunk of openBytes(path, gzip)) {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      const line = chunk.subarray(start, end + 1);
      lines.push(partial.length === 0 ? line : Buffer.concat([...partial, line]));
      partial = [];
      start = end + 1;
    }
    if (start < chunk.length) partial.push(chunk.subarray(start));
    if (lines.length > 0) yield lines;
  }
  if (partial.length > 0) yield [Buffer.concat(partial)];
}

async function* openBytes(path: string, gzip: boolean): AsyncGenerator<Buffer> {
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  try {
    if (!gzip) {
      for await (const chunk of file) yield chunk as Buffer;
      return;
    }
    const unpacked = createGunzip({ chunkSize: 1 << 18 });
    // pipeline and not pipe: it passes errors of the file on to the reader of `unpacked`
    const done = pipeline(file, unpacked);
    done.catch(() => undefined); // reported below through the iteration
    for await (const chunk of unpacked) yield chunk as Buffer;
    await done;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new XMoEError('data', `${path}: cannot be read to its end: ${reason}`, {
      op: 'readDocuments',
      hint: gzip ? 'the file is cut short or not gzip: fetch it again, and check with gzip -t' : 'check the file',
      cause,
    });
  } finally {
    file.destroy();
  }
}
