// Streams a file, plain or compressed, as lines of bytes. Bytes and not text, so that invalid UTF-8 can be pinned to a line.
import { constants } from 'node:buffer';
import { XMoEError } from '@xmoe/core';
import { openBytes, type PackedFile } from './compressed-bytes.js';
import { withLineFeeds } from './line-ends.js';

const LINE_FEED = 10;

/** The most that one line may have: what one string holds. */
export const MAXIMUM_LINE_BYTES = constants.MAX_STRING_LENGTH;

/** Refuses a line that no string holds. */
export function refuseLongLine(path: string, line: number, op: string): never {
  throw new XMoEError('data', `${path}:${line}: a line of more than ${Math.floor(MAXIMUM_LINE_BYTES / 2 ** 20)} MiB`, {
    op,
    hint: 'cut it into lines: a line is read as a whole',
  });
}

/**
 * Lines with their line feed (the last one may lack it), several per step; old Macintosh line ends become line feeds. Throws,
 * naming `op`, when the file cannot be read whole, and at a line of more than `mostBytes`.
 */
export async function* readByteLines(file: PackedFile, op: string, mostBytes = MAXIMUM_LINE_BYTES): AsyncGenerator<Buffer[]> {
  let partial: Buffer[] = [];
  let partialBytes = 0;
  let number = 1;
  for await (const chunk of withLineFeeds(openBytes(file, op))) {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      const line = chunk.subarray(start, end + 1);
      if (partialBytes + line.length > mostBytes) refuseLongLine(file.path, number, op);
      lines.push(partial.length === 0 ? line : Buffer.concat([...partial, line]));
      partial = [];
      partialBytes = 0;
      number++;
      start = end + 1;
    }
    if (start < chunk.length) partial.push(chunk.subarray(start));
    partialBytes += chunk.length - start;
    if (partialBytes > mostBytes) refuseLongLine(file.path, number, op);
    if (lines.length > 0) yield lines;
  }
  if (partial.length > 0) yield [Buffer.concat(partial)];
}
