// A record of what files hold is believed only while nothing about a file has changed; it never stands in for another file.
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openContentRecord } from '../../src/data/content-record.js';
import { temporaryFolder } from './temporary.js';

const { path, write } = temporaryFolder();
const sha256 = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');
const open = (name: string, fromBytes = 0) => openContentRecord(path(name), { fromBytes, settledMs: 0 });

/** Puts a hash that cannot be right into the record, so that remembering shows. */
function forge(record: string): void {
  writeFileSync(path(record), readFileSync(path(record), 'utf8').replaceAll(/"sha256": "[0-9a-f]{64}"/g, `"sha256": "${'0'.repeat(64)}"`));
}
const FORGED = '0'.repeat(64);

describe('openContentRecord', () => {
  it('reads a file once, also through a link', async () => {
    const file = write('file.txt', 'some text');
    symlinkSync(file, path('link.txt'));
    const record = await open('once.json');
    expect((await record.contentOf(file)).sha256).toBe(sha256('some text'));
    await record.save();
    forge('once.json');
    expect((await (await open('once.json')).contentOf(path('link.txt'))).sha256).toBe(FORGED);
  });

  it.each<[string, (file: string) => void]>([
    ['is written over with the same size and time', (file) => {
      writeFileSync(file, 'SOME TEXT');
      utimesSync(file, 1e9, 1e9);
    }],
    ['is replaced by another file', (file) => {
      writeFileSync(`${file}.new`, 'SOME TEXT');
      utimesSync(`${file}.new`, 1e9, 1e9);
      renameSync(`${file}.new`, file);
    }],
    ['grows', (file) => writeFileSync(file, 'SOME TEXT and more')],
  ])('reads a file again that %s', async (what, change) => {
    const file = write(`${what}.txt`, 'some text');
    utimesSync(file, 1e9, 1e9);
    const record = await open(`${what}.json`);
    await record.contentOf(file);
    await record.save();
    change(file);
    expect((await (await open(`${what}.json`)).contentOf(file)).sha256).toBe(sha256(readFileSync(file)));
  });

  it('does not take a copy of a folder with its record for the folder', async () => {
    mkdirSync(path('here'));
    mkdirSync(path('copy'));
    const file = write('here/a.bin', 'aaaa');
    const record = await open('here/record.json');
    await record.contentOf(file);
    await record.save();
    forge('here/record.json');
    copyFileSync(path('here/record.json'), path('copy/record.json'));
    write('copy/a.bin', 'bbbb');
    expect((await (await open('copy/record.json')).contentOf(path('copy/a.bin'))).sha256).toBe(sha256('bbbb'));
  });

  it('remembers neither small files nor those that have just changed', async () => {
    const file = write('small.txt', 'x');
    for (const options of [{ fromBytes: 2, settledMs: 0 }, { fromBytes: 0, settledMs: 1e9 }]) {
      const record = await openContentRecord(path('none.json'), options);
      await record.contentOf(file);
      await record.save();
      expect(existsSync(path('none.json'))).toBe(false);
    }
  });

  it('finds the largest number, over pieces, and says so when it is asked later', async () => {
    const numbers = new Uint16Array((1 << 20) + 3);
    numbers[(1 << 20) + 2] = 65_535;
    numbers[7] = 65_534;
    const file = write('numbers.bin', new Uint8Array(numbers.buffer));
    const record = await open('numbers.json');
    expect(await record.contentOf(file)).toEqual({ sha256: sha256(new Uint8Array(numbers.buffer)) });
    expect((await record.contentOf(file, 2)).largest).toBe(65_535);
    expect((await record.contentOf(write('wide.bin', new Uint8Array(Uint32Array.of(5, 2 ** 32 - 1, 6).buffer)), 4)).largest).toBe(2 ** 32 - 1);
    expect((await record.contentOf(write('empty.bin', ''), 4)).largest).toBe(-1);
  });

  it('takes a damaged record for an empty one, and lives without a place for it', async () => {
    const file = write('plain.txt', 'plain');
    for (const damage of ['{', '[]', '{"format":"xmoe-content-record","version":2,"files":{}}']) {
      write('damaged.json', damage);
      expect((await (await open('damaged.json')).contentOf(file)).sha256).toBe(sha256('plain'));
    }
    const nowhere = await open(join('plain.txt', 'below-a-file.json'));
    await nowhere.contentOf(file);
    await nowhere.save();
    await expect(nowhere.contentOf(path('absent'))).rejects.toThrow(/absent cannot be read: ENOENT/);
  });
});
