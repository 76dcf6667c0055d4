// Lines of a stream as they come: each step gives all that wait, so that a pipe is read in batches and a keyboard line by line.
// Reads no further ahead than the stream does by itself.
import { isUtf8 } from 'node:buffer';
import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { XMoEError } from '@xmoe/core';

/** Bytes of a line, its end not counted: a stream without line ends must not fill the memory. */
const MOST_BYTES = 1 << 24;

/**
 * The lines of `input`, at most `most` at once.
 * @param mostBytes of one line
 * @throws XMoEError `data` naming the first line that is not UTF-8 or too long, after the lines before it
 */
export async function* readInputLines(input: Readable, most: number, mostBytes = MOST_BYTES): AsyncGenerator<string[]> {
  const reader = createLineReader(input, mostBytes);
  let number = 1;
  for (;;) {
    await reader.wait();
    await nextTurn(); // what was written together comes together
    const taken = reader.take(most);
    if (taken.length === 0 && reader.ended) return;
    const wrong = taken.findIndex((line) => line.length > mostBytes || !isUtf8(line));
    const good = wrong < 0 ? taken : taken.slice(0, wrong);
    if (good.length > 0) yield good.map(textOf);
    number += good.length;
    if (wrong < 0) continue;
    if (taken[wrong]!.length > mostBytes) throw new XMoEError('data', `line ${number} of the input has more than ${mostBytes} bytes`, { hint: 'end lines with a line feed: each is translated by itself' });
    throw new XMoEError('data', `line ${number} of the input is not UTF-8`, { hint: 'convert it from its encoding, e.g. iconv -f WINDOWS-1251 -t UTF-8' });
  }
}

function createLineReader(input: Readable, mostBytes: number) {
  const waiting: Buffer[] = [];
  let rest: Buffer[] = []; // the beginning of a line whose end is to come
  let restBytes = 0;
  let ended = false;
  let failure: unknown;
  let wake = (): void => undefined;
  input.on('readable', () => wake());
  input.on('end', () => {
    ended = true;
    if (rest.length > 0) waiting.push(Buffer.concat(rest));
    wake();
  });
  input.on('error', (error) => {
    failure = error;
    wake();
  });

  const split = (chunk: Buffer): void => {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      waiting.push(Buffer.concat([...rest, chunk.subarray(start, end)]));
      rest = [];
      restBytes = 0;
      start = end + 1;
    }
    if (start === chunk.length) return;
    rest.push(chunk.subarray(start));
    restBytes += chunk.length - start;
    if (restBytes > mostBytes) waiting.push(Buffer.concat(rest)); // too long already: its end does not matter
  };
  const fill = (most: number): void => {
    while (waiting.length < most) {
      const chunk = input.read() as Buffer | string | null;
      if (chunk === null) return;
      split(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    }
  };
  return {
    get ended() {
      return ended && waiting.length === 0;
    },
    /** Until there is a line, or no more to come. */
    async wait(): Promise<void> {
      for (fill(1); waiting.length === 0 && !ended; fill(1)) {
        if (failure !== undefined) throw failure;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
    /** All lines that are there, at most `most`. */
    take(most: number): Buffer[] {
      fill(most);
      return waiting.splice(0, most);
    },
  };
}

/** The line without a carriage return at its end, nor a byte order mark at its beginning. */
function textOf(line: Buffer): string {
  const text = line.toString('utf8').replace(/^\uFEFF/, '');
  return text.endsWith('\r') ? text.slice(0, -1) : text;
}
