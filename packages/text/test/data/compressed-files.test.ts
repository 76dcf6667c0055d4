// Compressed files: what is damaged is refused, what is large is bounded, what is unusual is read or named.
import { gzipSync } from 'node:zlib';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { readDocuments } from '../../src/data/read-documents.js';
import { unpackWithFzstd, unpackZstd } from '../../src/data/unpack-zstd.js';
import type { ZstdFrame } from '../../src/data/zstd-frames.js';
import { readPairs } from '../../src/parallel/read-pairs.js';
import { collect, temporaryFolder } from './temporary.js';

const { write } = temporaryFolder();

/** 40 lines, written by python-zstandard: frames with a checksum, of windows of 1 KiB, 16, 128 and 256 MiB and 2 GiB, and with a dictionary. */
const LINES = Array.from({ length: 40 }, (_, i) => `${i}\tGuten Tag, Haus ${i % 7}\n`).join('');
const frame = (base64: string) => Buffer.from(base64, 'base64');
const SMALL = frame('KLUv/WQ+AsUDACKGERCg7YKd/v1J+W2bDJd+UWMUCR2zZcnufr1jEzrm5eT73x9P6BgXE69ve1if1EjHUWO0FCVEd/VXW0eIs60gXmMBOjkVGAEnqBHguG79M6Cj0gER/AcF4A/xjV8Dy5pHlIMWVwGKnrBERfAhhkAAIAAEfNivAoq0ap4=');
const LONG_BODY = 'DQUAosgUFoBFSQdbDVfg4QEYbxHZW0qfhJVXq2FTb2dfn156dert7OPDCy9OvJx8fHjhtWl3c2/PLrs27c5m4RGewaVcNdHt5NtDAA7jQAQKA0EWiYDDEJgnIICj0gPe8EZveIM3vNEb3uANb/CGN3jDG97oDW/whjf2RlVvUPXGVG9I9UZUb0D1xlNvOPVGU2/gzGQe5jEP85iHecyDzePNkQmKtGqe';
/** The window is 2 ** (10 + exponent): the highest five bits of the frame's sixth byte. */
const withWindow = (exponent: number) => Buffer.concat([frame('KLUv/QQ='), Buffer.of(exponent << 3), frame(LONG_BODY)]);
const WITH_DICTIONARY = frame('KLUv/WUHPgIFAwDTAAK+5vjBHDeLmyr8J3C5n4vlbnT+xf3/5Z8fXOBSL3enUgG8Kn7udPckhnDxL2CrCz8N5PCXDi74o5fbRZYc/5QrtycLewVh13rkkEOPRFxNWb/mTfKj/uYv2ehR4AmKtGqe');
/** Its table of Huffman weights leads from one state without bits to another, and so on. */
const CIRCLE = Buffer.from('28b52ffd0058550000d6e72d06f0f30cc492cc', 'hex');
const SKIPPABLE = Buffer.from('502a4d1803000000010203', 'hex');

/** A frame of `blocks` runs of 128 KiB of one letter: four bytes each. */
function runs(blocks: number, letter = 'a'): Buffer {
  const parts = [Buffer.from('28b52ffd0058', 'hex')];
  for (let i = 0; i < blocks; i++) {
    const header = Buffer.alloc(4, letter);
    header.writeUIntLE((131072 << 3) | (1 << 1) | (i === blocks - 1 ? 1 : 0), 0, 3);
    parts.push(header);
  }
  return Buffer.concat(parts);
}

const textOf = async (bytes: Uint8Array, name = 'text.txt.zst') => (await collect(readDocuments(write(name, bytes)))).map(({ text }) => text).join('');
const pairsOf = async (bytes: Uint8Array) => collect(readPairs([{ path: write('pairs.tsv.zst', bytes) }], { languages: { source: 'de', target: 'en' } }));
const withFzstd = async (bytes: Uint8Array) => Buffer.concat(await collect(unpackZstd(Readable.from([Buffer.from(bytes)]), unpackWithFzstd))).toString();

describe('zstd', () => {
  it('is refused with any one bit flipped, by either decoder', async () => {
    let accepted = 0;
    for (let bit = 0; bit < SMALL.length * 8; bit += 7) {
      const flipped = Buffer.from(SMALL);
      flipped[bit >> 3] ^= 1 << (bit & 7);
      const reads = await Promise.allSettled([textOf(flipped), withFzstd(flipped)]);
      // Two bits of the header change nothing that is read.
      accepted += reads.filter((read) => read.status === 'fulfilled' && read.value !== LINES).length;
    }
    expect(accepted).toBe(0);
    const wrongSum = Buffer.from(SMALL);
    wrongSum[wrongSum.length - 1] ^= 1;
    await expect(textOf(wrongSum)).rejects.toMatchObject({ code: 'data', message: expect.stringContaining('checksum') as string });
    await expect(pairsOf(wrongSum)).rejects.toMatchObject({ code: 'data', message: expect.stringContaining('checksum') as string });
    await expect(withFzstd(wrongSum)).rejects.toThrow('checksum');
  });

  it('is refused where unpacking would never end', async () => {
    const impatient = (file: ZstdFrame) => unpackWithFzstd(file, 200);
    await expect(collect(unpackZstd(Readable.from([CIRCLE]), impatient))).rejects.toThrow('does not come to an end within 0.2 s');
    // What was interrupted leaves no trace.
    expect(Buffer.concat(await collect(unpackZstd(Readable.from([SMALL]), impatient))).toString()).toBe(LINES);
  });

  it('is read with windows of 16 and 128 MiB, by either decoder', async () => {
    for (const exponent of [14, 17]) {
      expect(await textOf(withWindow(exponent))).toBe(LINES);
      expect(await withFzstd(withWindow(exponent))).toBe(LINES);
    }
  });

  it('with a larger window is read, or refused with what to do', async () => {
    for (const exponent of [18, 21]) {
      await expect(withFzstd(withWindow(exponent))).rejects.toMatchObject({
        message: expect.stringContaining(`it needs a window of ${2 ** (exponent - 10)} MiB`) as string,
        hint: expect.stringContaining('use Node 22.15') as string,
      });
      const read = await textOf(withWindow(exponent)).catch((error: Error) => error);
      expect(read === LINES || (read as Error).message).toSatisfy((value) => value === true || /it needs a window of (256|2048) MiB/.test(String(value)));
    }
    await expect(textOf(withWindow(31))).rejects.toThrow('it needs a window of 2097152 MiB');
  });

  it('may be of several frames, empty and skippable ones among them', async () => {
    const empty = Buffer.from('28b52ffd2000010000', 'hex');
    expect(await textOf(Buffer.concat([SKIPPABLE, SMALL, empty, SKIPPABLE, withWindow(14), SKIPPABLE]))).toBe(LINES + LINES);
  });

  it('with a dictionary is refused by its number', async () => {
    await expect(textOf(WITH_DICTIONARY)).rejects.toMatchObject({
      message: expect.stringContaining('it was compressed with the dictionary 7, which is not in the file') as string,
      hint: expect.stringContaining('-D DICTIONARY') as string,
    });
  });

  it('is refused wherever it is cut, and with something after it', async () => {
    for (let length = 0; length < SMALL.length; length += 5) await expect(textOf(SMALL.subarray(0, length))).rejects.toMatchObject({ code: 'data' });
    await expect(textOf(Buffer.concat([SMALL, Buffer.from('more')]))).rejects.toThrow('something else than a zstd frame after a frame');
    await expect(textOf(Buffer.concat([SMALL, SKIPPABLE.subarray(0, 9)]))).rejects.toThrow('it ends in the middle of a frame');
  });
});

describe('what a small file unpacks to', () => {
  it('is bounded by maximumExpansion, for zstd and gzip, documents and pairs', async () => {
    const bomb = runs(600); // 79 MB out of 2 kB
    await expect(textOf(bomb)).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/text\.txt\.zst: cannot be read to its end: it unpacks to more than 256 times its size/) as string,
      hint: expect.stringContaining('raise maximumExpansion') as string,
    });
    await expect(pairsOf(bomb)).rejects.toThrow('it unpacks to more than 256 times its size');
    const gzipped = gzipSync(Buffer.alloc(70_000_000, 'a'), { level: 9 });
    await expect(textOf(gzipped, 'text.txt.gz')).rejects.toThrow('it unpacks to more than 256 times its size');
  });

  it('may be more when the user says so, and 64 MiB always', async () => {
    const file = write('large.txt.gz', gzipSync(Buffer.alloc(80_000_000, `${'a'.repeat(500_000)}\n<|endoftext|>\n`), { level: 9 }));
    let documents = 0;
    for await (const { text } of readDocuments(file, { maximumExpansion: 2000 })) documents += text.length > 0 ? 1 : 0;
    expect(documents).toBeGreaterThan(150);
    expect(await textOf(runs(100))).toHaveLength(100 * 131072);
  });
});
