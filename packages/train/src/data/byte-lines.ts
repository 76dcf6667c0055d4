// Streams a file, plain or compressed, as lines of bytes. Bytes and not text, so that invalid UTF-8 can be pinned to a line.
import { openBytes, type Compression } from './compressed-bytes.js';

const LINE_FEED = 10;

/**
 * Lines with their line feed (the last one may lack it), several per step. Throws, naming `op`, when the file cannot be
 * read whole.
 */
export async function* readByteLines(path: string, compression: Compression | undefined, op: string): AsyncGenerator<Buffer[]> {
  let partial: Buffer[] = [];
  for await (const chunk of openBytes(path, compression, op)) {
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
