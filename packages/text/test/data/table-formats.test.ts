// CSV, TSV and JSON arrays, as documents and as pairs: read as what they are, or refused by name.
import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDocuments, type ReadDocumentsOptions } from '../../src/data/read-documents.js';
import { readPairs } from '../../src/parallel/read-pairs.js';
import type { PairFields } from '../../src/parallel/pair-sources.js';
import { collect, temporaryFolder } from './temporary.js';

const { path, write } = temporaryFolder();
const languages = { source: 'de', target: 'en' };
const texts = async (file: string, options?: ReadDocumentsOptions) => (await collect(readDocuments(file, options))).map(({ text }) => text);
const pairs = async (file: string, fields?: PairFields) =>
  (await collect(readPairs([{ path: file, fields }], { languages }))).map(({ source, target, kind }) => [source, target, kind].filter((part) => part !== undefined));

describe('documents from tables', () => {
  it('come from the column of the text', async () => {
    expect(await texts(write('a.csv', 'id,text\r\n1,plain\r\n2,"two\r\nlines, and ""quotes"""\r\n'))).toEqual(['plain', 'two\r\nlines, and "quotes"']);
    expect(await texts(write('b.csv', 'id;body\n1;eins\n'), { field: 'body' })).toEqual(['eins']);
    expect(await texts(write('c.tsv', '\uFEFFtext\tn\n"as it is"\t1\n'))).toEqual(['"as it is"']);
  });

  it('are refused without that column, with the columns there are', async () => {
    await expect(texts(write('prose.csv', 'It was a dark, stormy night.\nThe end.\n'))).rejects.toMatchObject({
      message: expect.stringContaining('has no column "text" (it has It was a dark,  stormy night.)') as string,
      hint: expect.stringContaining('.txt') as string,
    });
    await expect(texts(write('head.tsv', 'id\ttexts\n1\tx\n'))).rejects.toMatchObject({ hint: 'did you mean "texts"?' });
    expect(await texts(write('forced.csv', 'a,b\n'), { format: 'text' })).toEqual(['a,b\n']);
  });

  it('count rows of other widths by line', async () => {
    const stream = readDocuments(write('odd.csv', 'text,n\na,1\n\n"b\nb"\nc,2\n'));
    expect((await collect(stream)).map(({ text }) => text)).toEqual(['a', 'c']);
    expect(stream.malformed.first).toEqual([{ place: `${path('odd.csv')}:4`, reason: '1 column instead of the 2 of the first line' }]);
    await expect(texts(write('open.csv', 'text\n"never closed\n'))).rejects.toThrow('open.csv:2: quotes that begin here have no end');
  });

  it('give back any cells, in quotes where they need them, across chunks', async () => {
    const cell = fc.string({ unit: fc.constantFrom('a', 'é', '😀', ',', '"', '\n', '\r', ' ', ';'), minLength: 1, maxLength: 12 }).map((text) => `x${text}`);
    const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
    await fc.assert(fc.asyncProperty(fc.array(cell, { minLength: 1, maxLength: 8 }), fc.boolean(), async (cells, last) => {
      writeFileSync(path('any.csv'), `n,text\n${cells.map((text, i) => `${i},${/[,"\n\r]/.test(text) ? quoted(text) : text}`).join('\n')}${last ? '\n' : ''}`);
      expect(await texts(path('any.csv'))).toEqual(cells);
    }), { numRuns: 60 });
    const long = Array.from({ length: 60 }, (_, i) => `${i}"é,\n`.repeat(2000));
    expect(await texts(write('long.csv', `text\n${long.map(quoted).join('\n')}\n`))).toEqual(long);
  });
});

describe('pairs from tables', () => {
  it('have the columns that the first line names', async () => {
    expect(await pairs(write('p.csv', 'en,id,de\n"Good, day",1,Guten Tag\n'))).toEqual([['Guten Tag', 'Good, day']]);
    expect(await pairs(write('p2.csv', 'Source,Target,kind\na,A,news\n'))).toEqual([['a', 'A', 'news']]);
    expect(await pairs(write('p.tsv', 'DE\tEN\nja\tyes\n'))).toEqual([['ja', 'yes']]);
    expect(await pairs(write('p3.csv', 'x,y\na,A\n'), { source: 'y', target: 'x' })).toEqual([['A', 'a']]);
    expect(await pairs(write('p4.csv', 'a,A\n'), { source: 1, target: 2 })).toEqual([['a', 'A']]);
    expect(await pairs(write('none.tsv', 'der\tthe\n'))).toEqual([['der', 'the']]);
  });

  it('are refused where no column is clear', async () => {
    await expect(pairs(write('which.csv', 'left,right\na,b\n'))).rejects.toThrow('the fields of source and target are not clear (it has left, right)');
  });
});

describe('a .json file', () => {
  const rows = Array.from({ length: 50 }, (_, i) => ({ text: `[${i}] {"a\\": ${'é,]}"'.repeat(2000)}`, nested: [{ a: [1, { b: ']' }] }], source: `q${i}`, target: `z${i}` }));

  it('is an array of rows, however it is laid out', async () => {
    for (const [name, text] of [['dense', JSON.stringify(rows)], ['indented', JSON.stringify(rows, null, 2)], ['lines', `[\n${rows.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`]]) {
      const file = write(`${name}.json`, text);
      expect(await texts(file)).toEqual(rows.map((row) => row.text));
      expect(await pairs(file)).toEqual(rows.map(({ source, target }) => [source, target]));
    }
  });

  it('has a row per line otherwise', async () => {
    expect(await texts(write('rows.json', '\n{"text":"a"}\n{"text":"b"}\n'))).toEqual(['a', 'b']);
  });

  it('counts elements that are no rows, by the line they begin on', async () => {
    const stream = readDocuments(write('some.json', '[\n {"text":"a"},\n 7,\n {"text":\n 1},\n {"text" "x"}\n]'));
    expect((await collect(stream)).map(({ text }) => text)).toEqual(['a']);
    expect(stream.malformed.first.map(({ place, reason }) => [place, reason.split(':')[0]])).toEqual([
      [`${path('some.json')}:3`, 'no string field "text"'],
      [`${path('some.json')}:4`, 'no string field "text"'],
      [`${path('some.json')}:6`, 'not JSON'],
    ]);
  });

  it('is refused when it is one object, cut short, or followed by more', async () => {
    await expect(texts(write('one.json', '{\n "text": "a"\n}\n'))).rejects.toThrow('holds one JSON object over several lines, and no rows');
    await expect(texts(write('cut.json', '[{"text":"a"},\n{"text":"b"'))).rejects.toThrow('cut.json:2: the array has no end');
    await expect(texts(write('two.json', '[{"text":"a"}]\n[{"text":"b"}]'))).rejects.toThrow('two.json:2: something follows the array');
    await expect(texts(write('brace.json', '[{"text":"a"}}'))).rejects.toThrow('brace.json:1: a brace closes the array');
    await expect(texts(write('empty.json', '[]'))).rejects.toThrow('no documents in');
  });

  it('tells on one line what is not JSON', async () => {
    const stream = readDocuments(write('multi.jsonl', '{"text":"a"}\r\n{"te\u0007\rxt":\u2028 x}\n'));
    await collect(stream);
    expect(stream.malformed.first[0].reason).toMatch(/^not JSON: /);
    expect(stream.malformed.first[0].reason).not.toMatch(/[\p{Cc}\u2028]/u);
  });
});
