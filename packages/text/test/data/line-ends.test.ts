// Lines: ends of all kinds, and lines of any length in time linear in it.
import { describe, expect, it } from 'vitest';
import { readByteLines } from '../../src/data/byte-lines.js';
import { readDocuments } from '../../src/data/read-documents.js';
import { readPairs } from '../../src/parallel/read-pairs.js';
import { collect, temporaryFolder } from './temporary.js';

const { write } = temporaryFolder();
const languages = { source: 'de', target: 'en' };

describe('carriage returns', () => {
  it('alone end the lines of a file without line feeds', async () => {
    const rows = Array.from({ length: 9000 }, (_, i) => `Satz ${i}\tSentence ${i}`);
    const pairs = await collect(readPairs([{ path: write('mac.tsv', rows.join('\r')) }], { languages }));
    expect(pairs.map(({ source, target }) => `${source}\t${target}`)).toEqual(rows);
    const [document] = await collect(readDocuments(write('mac.txt', 'one\rtwo\r\rthree\r')));
    expect(document.text).toBe('one\ntwo\n\nthree\n');
    const json = await collect(readDocuments(write('mac.jsonl', '{"text":"a"}\r{"text":"b\\rc"}\r')));
    expect(json.map(({ text }) => text)).toEqual(['a', 'b\rc']);
  });

  it('inside the lines of other files stay there: the two sides of aligned files would part otherwise', async () => {
    const [first] = await collect(readPairs([{ path: write('a.de', 'eins\rzwei\r\ndrei\n'), target: write('a.en', 'one two\nthree\n') }], { languages }));
    expect(first.source).toBe('eins\rzwei');
    expect((await collect(readDocuments(write('mixed.txt', 'a\rb\r\nc\n'))))[0].text).toBe('a\rb\r\nc\n');
    expect((await collect(readDocuments(write('one.txt', 'no line feed\r'))))[0].text).toBe('no line feed\r');
  });
});

describe('a line that fills a file', () => {
  it('of 48 MB is one row that is left out, not an hour of work', async () => {
    const file = write('line.tsv', Buffer.alloc(48_000_000, 'é'));
    await expect(collect(readPairs([{ path: file }], { languages }))).rejects.toThrow('holds no pairs: 1 malformed rows, such as');
  });

  it('of more than a string holds is refused by its number', async () => {
    const file = { path: write('long.jsonl', `{"text":"x"}\n${'y'.repeat(70_000)}\n`), compression: undefined };
    await expect(collect(readByteLines(file, 'test', 60_000))).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/^test: .*long\.jsonl:2: a line of more than \d+ MiB$/) as string,
      hint: expect.any(String) as string,
    });
    expect(await collect(readByteLines(file, 'test', 70_001))).toHaveLength(1);
  });
});
