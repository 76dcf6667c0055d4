// Bytes of a file as text, checked: what is not UTF-8 is an error that names the file and the byte. No lines, no formats.
import { isUtf8 } from 'node:buffer';
import { XMoEError } from '@xmoe/core';
import { MAXIMUM_LINE_BYTES, refuseLongLine } from './byte-lines.js';
import { openBytes, type PackedFile } from './compressed-bytes.js';
import { withLineFeeds } from './line-ends.js';

/**
 * The text of a file in pieces, without the byte order mark; old Macintosh line ends become line feeds. Throws, naming `op`,
 * at the first byte that is not UTF-8.
 */
export async function* readUtf8(file: PackedFile, op: string): AsyncGenerator<string> {
  let carried = Buffer.alloc(0); // the beginning of a character whose end is in the next chunk
  let position = 0; // of the first byte of `carried`
  let first = true;
  for await (const chunk of withLineFeeds(openBytes(file, op))) {
    const bytes = carried.length === 0 ? chunk : Buffer.concat([carried, chunk]);
    if (first && bytes.length >= 2) refuseUtf16(bytes, file.path, op);
    const whole = bytes.length - cutCharacter(bytes);
    const head = bytes.subarray(0, whole);
    if (!isUtf8(head)) throw notUtf8(file, position + firstInvalidByte(head), op);
    const text = head.toString('utf8');
    if (text !== '') yield first && text.startsWith('\uFEFF') ? text.slice(1) : text;
    if (whole > 0) first = false;
    carried = Buffer.from(bytes.subarray(whole));
    position += whole;
  }
  if (carried.length > 0) throw notUtf8(file, position, op);
}

function refuseUtf16(bytes: Buffer, path: string, op: string): void {
  const mark = bytes.readUInt16BE(0);
  if (mark !== 0xfffe && mark !== 0xfeff) return;
  throw new XMoEError('data', `${path} is UTF-16 and not UTF-8 (byte 0 is 0x${bytes[0].toString(16)})`, {
    op,
    hint: 'convert it: iconv -f UTF-16 -t UTF-8',
  });
}

function notUtf8({ path, compression }: PackedFile, position: number, op: string): XMoEError {
  const where = compression === undefined ? `byte ${position}` : `byte ${position} of the unpacked text`;
  return new XMoEError('data', `${path} is not UTF-8: ${where} begins no character`, {
    op,
    hint: 'convert the file from its encoding, e.g. iconv -f WINDOWS-1251 -t UTF-8, or mend that place',
  });
}

/** How many bytes at the end begin a character that may go on in the next chunk (0 … 3). */
function cutCharacter(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if ((byte & 0xc0) === 0x80) continue;
    const wanted = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return wanted > back ? back : 0;
  }
  return 0;
}

/** Position of the first byte that begins no well-formed character (RFC 3629), or −1. */
export function firstInvalidByte(bytes: Uint8Array): number {
  for (let at = 0; at < bytes.length; ) {
    const size = characterSize(bytes, at);
    if (size === 0) return at;
    at += size;
  }
  return -1;
}

/** Bytes of the well-formed character at `at`, or 0. */
function characterSize(bytes: Uint8Array, at: number): number {
  const lead = bytes[at];
  if (lead < 0x80) return 1;
  const size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || at + size > bytes.length) return 0;
  for (let i = 1; i < size; i++) if ((bytes[at + i] & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1];
  if (lead === 0xe0 && second < 0xa0) return 0; // overlong
  if (lead === 0xed && second > 0x9f) return 0; // half a surrogate pair
  if (lead === 0xf0 && second < 0x90) return 0; // overlong
  return lead === 0xf4 && second > 0x8f ? 0 : size; // beyond U+10FFFF
}

/** The lines of a file without their ends (`\n`, `\r\n`, or `\r` in a file without `\n`), several per step. */
export async function* readTextLines(file: PackedFile, op: string): AsyncGenerator<string[]> {
  let partial: string[] = []; // pieces of the line whose end is to come: joined once, so that one long line takes linear time
  let length = 0;
  let number = 1;
  for await (const text of readUtf8(file, op)) {
    const lines = text.split('\n');
    length += lines[0].length;
    if (length > MAXIMUM_LINE_BYTES) refuseLongLine(file.path, number, op);
    partial.push(lines[0]);
    if (lines.length === 1) continue;
    lines[0] = partial.join('');
    const last = lines.pop()!;
    partial = [last];
    length = last.length;
    number += lines.length;
    yield lines.map(withoutReturn);
  }
  if (length > 0) yield [withoutReturn(partial.join(''))];
}

const withoutReturn = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line);
