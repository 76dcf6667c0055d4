// Lines of a stream: batches of what waits, characters and lines cut by chunks, and what is not UTF-8.
import { PassThrough, Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { readInputLines } from '../src/input-lines.js';

async function all(input: Readable, most = 100): Promise<string[][]> {
  const batches: string[][] = [];
  for await (const batch of readInputLines(input, most)) batches.push(batch);
  return batches;
}
const of = (...chunks: (string | number[])[]): Readable => Readable.from(chunks.map((chunk) => Buffer.from(chunk as string)), { objectMode: false });

describe('readInputLines', () => {
  it('takes line ends of both kinds, empty lines, and a last line without an end', async () => {
    expect((await all(of('\uFEFFeins\r\n\nzwei\n', 'dr', 'ei'))).flat()).toEqual(['eins', '', 'zwei', 'drei']);
    expect(await all(of())).toEqual([]);
    expect((await all(of('\n'))).flat()).toEqual(['']);
  });

  it('puts characters together that chunks cut', async () => {
    const bytes = Array.from(Buffer.from('für 日本 🎓\nja\n'));
    expect((await all(of(...bytes.map((byte) => [byte])))).flat()).toEqual(['für 日本 🎓', 'ja']);
  });

  it('gives at most so many lines at once, in order', async () => {
    const lines = Array.from({ length: 25 }, (_, index) => String(index));
    const batches = await all(of(lines.join('\n')), 10);
    expect(batches.flat()).toEqual(lines);
    expect(Math.max(...batches.map((batch) => batch.length))).toBe(10);
  });

  it('gives a line as soon as it is there', async () => {
    const input = new PassThrough();
    const batches = readInputLines(input, 10);
    input.write('eins\nzw');
    expect((await batches.next()).value).toEqual(['eins']);
    const second = batches.next();
    input.write('ei\ndrei\n');
    expect((await second).value).toEqual(['zwei', 'drei']);
    input.end();
    expect(await batches.next()).toEqual({ done: true, value: undefined });
  });

  it('names the first line that is not UTF-8, after those before it', async () => {
    const batches = readInputLines(of('eins\nzwei\n', [0x66, 0xfc, 0x72, 10], 'vier\n'), 10);
    expect((await batches.next()).value).toEqual(['eins', 'zwei']);
    await expect(batches.next()).rejects.toThrow('line 3 of the input is not UTF-8');
  });

  it('names a line without end, after those before it, and reads no further', async () => {
    let read = 0;
    const endless = new Readable({ read: function (this: Readable) { read += this.push(Buffer.alloc(100, 'x')) ? 100 : 0; } });
    const batches = readInputLines(endless, 10, 1000);
    endless.unshift(Buffer.from('eins\nzwei\n'));
    expect((await batches.next()).value).toEqual(['eins', 'zwei']);
    await expect(batches.next()).rejects.toThrow('line 3 of the input has more than 1000 bytes');
    expect(read).toBeLessThan(1_000_000);
    endless.destroy();
    expect((await all(of('x'.repeat(1000)), 10)).flat()).toHaveLength(1);
  });

  it('passes on what the stream raises', async () => {
    const input = new PassThrough();
    const batches = readInputLines(input, 10);
    const next = batches.next();
    input.destroy(new Error('it broke'));
    await expect(next).rejects.toThrow('it broke');
  });
});
