// Parquet: read a page at a time, verified, and whatever is wrong with a file is an error that can be caught.
import { readFileSync } from 'node:fs';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPageUnpacker } from '../../src/data/parquet-codecs.js';
import { checkPageHeader, checkPageRuns } from '../../src/data/parquet-page-checks.js';
import { openParquet } from '../../src/data/parquet-table.js';
import { readDocuments } from '../../src/data/read-documents.js';
import { readPairs } from '../../src/parallel/read-pairs.js';
import { collect, fixture, temporaryFolder } from './temporary.js';

const { write } = temporaryFolder();
const open = (path: string) => openParquet({ path, compression: undefined }, 'test');

describe('a row group of many pages', () => {
  const rows = Array.from({ length: 1500 }, (_, i) => ({
    text: i % 7 === 3 ? undefined : `row ${i} é`,
    de: i % 11 === 5 ? undefined : `Satz ${i}`,
    en: i % 11 === 5 || i % 13 === 1 ? undefined : `sentence ${i}`,
  }));

  it.each(['pages-1.parquet', 'pages-2.parquet'])('is read page by page: %s', async (name) => {
    const table = await open(fixture(name));
    expect(table.columns).toEqual(['text', 'pair', 'list', 'number']);
    const steps = await collect(table.read(['text', 'pair', 'list', 'number']));
    expect(steps.length).toBeGreaterThan(15);
    expect(Math.max(...steps.map((step) => step.length))).toBeLessThan(200);
    const read = steps.flat().map(({ text, pair }) => ({ text, ...(pair as object) }) as Record<string, unknown>);
    expect(read.map(({ text, de, en }) => ({ text: text ?? undefined, de: de ?? undefined, en: en ?? undefined }))).toEqual(rows);
    const pairs = await collect(readPairs([{ path: fixture(name), fields: { source: 'pair.de', target: 'pair.en' } }], { languages: { source: 'de', target: 'en' } }));
    expect(pairs).toHaveLength(rows.filter(({ de, en }) => de !== undefined && en !== undefined).length);
  });

  it('has no text in lists and numbers, and says so', async () => {
    for (const field of ['list', 'number']) {
      await expect(collect(readDocuments(fixture('pages-1.parquet'), { field }))).rejects.toThrow(`not readable as Parquet: there is no text in column ${field}`);
    }
  });

  it.runIf('crc32' in zlib)('is verified by the checksums of its pages', async () => {
    const bytes = readFileSync(fixture('pages-2.parquet'));
    const texts = async (file: string) => (await collect(readDocuments(file))).map(({ text }) => text);
    const whole = await texts(fixture('pages-2.parquet'));
    let refused = 0;
    for (let place = 200; place < 4000; place += 97) { // in pages of texts; headers hold statistics, which are not covered
      const changed = Buffer.from(bytes);
      changed[place] ^= 16;
      const read = await texts(write('flipped.parquet', changed)).catch((error: { code: string }) => error.code);
      if (read === 'data') refused++;
      else expect(read).toEqual(whole);
    }
    expect(refused).toBeGreaterThan(25);
  });
});

describe('a damaged table', () => {
  it('is read or refused, never more', async () => {
    const files = ['documents.parquet', 'wikitext-00000-of-00002.parquet', 'pages-2.parquet', '../../parallel/fixtures/nested.parquet'].map((name) => readFileSync(fixture(name)));
    const change = fc.tuple(fc.nat(1), fc.nat(), fc.integer({ min: 0, max: 255 }));
    await fc.assert(fc.asyncProperty(fc.nat(3), fc.array(change, { minLength: 1, maxLength: 5 }), async (which, changes) => {
      const bytes = Buffer.from(files[which]);
      // Half of the changes in the index at the end, where each tells the reader what to do.
      for (const [tail, place, value] of changes) bytes[tail === 1 ? Math.max(0, bytes.length - 1 - (place % 700)) : place % bytes.length] = value;
      const file = write('damaged.parquet', bytes);
      const reading = which < 3 ? collect(readDocuments(file)) : collect(readPairs([{ path: file }], { languages: { source: 'de', target: 'en' } }));
      await reading.catch((error: unknown) => expect(error).toMatchObject({ code: 'data', isXMoEError: true }));
    }), { numRuns: 400 });
  });

  it('may be cut anywhere', async () => {
    const bytes = readFileSync(fixture('documents.parquet'));
    for (let length = 0; length < bytes.length; length += 23) {
      await expect(collect(readDocuments(write('cut.parquet', bytes.subarray(0, length))))).rejects.toMatchObject({ code: 'data', hint: expect.any(String) as string });
    }
  });
});

describe('a page that claims too much', () => {
  it('is refused before it is decoded', () => {
    const levels = { width: 1, bytes: undefined };
    // Two bytes of length 4, a run of 2^27 ones.
    expect(() => checkPageRuns(Buffer.from('0500000080808080010100', 'hex'), 40, 'PLAIN', levels, 11, 256)).toThrow('a run is longer than its page');
    expect(() => checkPageRuns(Buffer.from('02000000500100', 'hex'), 40, 'PLAIN', levels, 7, 256)).not.toThrow();
    expect(() => checkPageRuns(Buffer.from('03ffffffff0f00', 'hex'), 40, 'RLE_DICTIONARY', { width: 0 }, 7, 256)).toThrow('a run is longer than its page');
    const page = { type: 'DATA_PAGE', uncompressed_page_size: 10, compressed_page_size: 10, data_page_header: { num_values: 2 ** 25, encoding: 'PLAIN' } } as never;
    expect(() => checkPageHeader(page, 100, 2 ** 26)).toThrow('a page claims to hold 33554432 values');
    expect(() => checkPageHeader(page, 9, 100)).toThrow('a page reaches beyond its column');
  });

  it('may not unpack to more than maximumExpansion times its size', async () => {
    const unpack = await createPageUnpacker(256);
    const packed = zlib.gzipSync(Buffer.alloc(70_000_000));
    expect(() => unpack(packed, 'GZIP', 70_000_000)).toThrow('a page unpacks to more than 256 times its size');
    expect((await createPageUnpacker(2000))(packed, 'GZIP', 70_000_000)).toHaveLength(70_000_000);
    expect(() => unpack(zlib.gzipSync('abc'), 'GZIP', 5)).toThrow('a page unpacks to 3 bytes and not to the 5 it says');
  });
});
