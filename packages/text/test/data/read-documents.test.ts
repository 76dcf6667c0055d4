// The corpus reader: formats, separators, WikiText articles, malformed rows by place, and damaged files.
import { mkdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDocuments, type ReadDocumentsOptions } from '../../src/data/read-documents.js';
import { createArticleJoiner, isArticleTitle } from '../../src/data/document-joiners.js';
import { collect, fixture, temporaryFolder } from './temporary.js';

const { path, write } = temporaryFolder();
const textsOf = async (sources: string | string[], options?: ReadDocumentsOptions) =>
  (await collect(readDocuments(sources, options))).map(({ text }) => text);

describe('plain text', () => {
  it('is a document per file without separators', async () => {
    const file = write('one.txt', '\uFEFFfirst line\r\n\n  last line\n');
    const [document] = await collect(readDocuments(file));
    expect(document).toEqual({ text: 'first line\r\n\n  last line\n', source: file, index: 0, place: file });
  });

  it('is split at end-of-text lines, gzipped or not', async () => {
    const content = 'a\n\nbody <|endoftext|> not alone\n<|endoftext|>\n\n<|endoftext|>\r\nb\r\n<|endoftext|>\r\nc';
    const expected = ['a\n\nbody <|endoftext|> not alone', 'b', 'c'];
    expect(await textsOf(write('many.txt', content))).toEqual(expected);
    expect(await textsOf(write('many.txt.gz', gzipSync(content)))).toEqual(expected);
  });

  it('gives back documents of any shape across chunk borders', async () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replace(/[\n\r\uFEFF]|<\|/g, '') + 'x');
    const documents = fc.array(fc.array(line, { minLength: 1, maxLength: 9 }).map((lines) => lines.join('\n')), { minLength: 1, maxLength: 9 });
    await fc.assert(
      fc.asyncProperty(documents, async (texts) => {
        expect(await textsOf(write('property.txt', texts.join('\n<|endoftext|>\n')))).toEqual(texts);
      }),
      { numRuns: 30 },
    );
    const long = Array.from({ length: 40 }, (_, i) => `${i}${'é'.repeat(20_000)}`); // 1.6 MB: several chunks
    expect(await textsOf(write('long.txt', long.join('\n<|endoftext|>\n')))).toEqual(long);
  });

  it('leaves out a document with invalid UTF-8 and names the line', async () => {
    const file = write('bad.txt', Buffer.from('good\n<|endoftext|>\nbad\n\xff\xfe\n<|endoftext|>\nalso good\n', 'latin1'));
    const stream = readDocuments(file);
    expect((await collect(stream)).map(({ text }) => text)).toEqual(['good', 'also good\n']);
    expect(stream.malformed).toEqual({ count: 1, first: [{ place: `${file}:4`, reason: 'invalid UTF-8' }] });
  });
});

describe('JSON lines', () => {
  const rows = [
    '{"text": "one", "other": 1}',
    '',
    '{"text": "cut',
    '{"content": "elsewhere"}',
    '{"text": 7}',
    '["text"]',
    '{"text": "  "}',
    '{"text": "half \\ud800 pair"}',
    '{"text": "two \\ud83d\\ude00"}',
  ];

  it('F25: counts malformed rows and names the first', async () => {
    const file = write('rows.jsonl', rows.join('\n'));
    const stream = readDocuments(file);
    const documents = await collect(stream);
    expect(documents.map(({ text, index }) => [text, index])).toEqual([['one', 0], ['two 😀', 1]]);
    expect(stream.malformed.count).toBe(6);
    expect(stream.malformed.first.map(({ place }) => place)).toEqual([3, 4, 5, 6, 7, 8].map((line) => `${file}:${line}`));
    expect(stream.malformed.first.map(({ reason }) => reason.split(':')[0])).toEqual([
      'not JSON',
      'no string field "text"',
      'no string field "text"',
      'no string field "text"',
      'text is empty',
      'text holds half a surrogate pair',
    ]);
    await collect(stream); // a second pass starts the count anew
    expect(stream.malformed.count).toBe(6);
  });

  it('keeps only the first ten of many', async () => {
    const file = write('worse.jsonl', `${'{}\n'.repeat(50)}{"text":"fine"}\n`);
    const stream = readDocuments(file);
    await collect(stream);
    expect(stream.malformed.count).toBe(50);
    expect(stream.malformed.first).toHaveLength(10);
  });

  it('takes another field, and throws at the first malformed row when strict', async () => {
    expect(await textsOf(write('field.jsonl.gz', gzipSync('{"content":"here"}')), { field: 'content' })).toEqual(['here']);
    const strict = textsOf(write('strict.jsonl', rows.join('\n')), { strict: true });
    await expect(strict).rejects.toThrow(`${path('strict.jsonl')}:3: not JSON`);
  });
});

describe('Parquet', () => {
  it('is a document per row, with null, empty and invalid rows named', async () => {
    const file = fixture('documents.parquet');
    const stream = readDocuments(file);
    const documents = await collect(stream);
    expect(documents.map(({ text }) => text)).toEqual([
      'One document .\nOf two lines .',
      'Zwölf Boxkämpfer',
      '😀 emoji',
      'last',
    ]);
    expect(stream.malformed).toEqual({
      count: 3,
      first: [
        { place: `${file} row 2`, reason: 'no text in column "text"' },
        { place: `${file} row 4`, reason: 'invalid UTF-8' },
        { place: `${file} row 5`, reason: 'text is empty' },
      ],
    });
  });

  it('names a missing column and the columns there are', async () => {
    const read = textsOf(fixture('documents.parquet'), { field: 'txt' });
    await expect(read).rejects.toMatchObject({ message: expect.stringContaining('no column "txt" (it has id, text)') as string, hint: 'did you mean "text"?' });
  });

  it('names a file that is cut short', async () => {
    const whole = readFileSync(fixture('documents.parquet'));
    await expect(textsOf(write('cut.parquet', whole.subarray(0, -9)))).rejects.toThrow('cut.parquet: not readable as Parquet');
  });
});

describe('WikiText', () => {
  const articles = [
    ' \n = First Article = \n \n A paragraph with an unlikely line below . \n = Not a title = \n It stands between lines of text . \n \n = = Section = = \n \n More . \n \n',
    ' = Second Article = \n \n It begins in one part \n and ends in the other – naïve . \n \n = = = Deeper = = = \n \n \n',
    ' = Third = \n \n The end . \n',
  ];

  it('is rejoined into articles across the parts of a table', async () => {
    expect(await textsOf(fixture('wikitext-*.parquet'))).toEqual(articles);
  });

  it('is found in the text files as first published', async () => {
    expect(await textsOf(write('wiki.train.tokens', articles.join('')))).toEqual(articles);
  });

  it('can be read as rows', async () => {
    const rows = await textsOf(fixture('wikitext-00001-of-00002.parquet'), { articles: 'none' });
    expect(rows).toEqual([' and ends in the other – naïve . \n', ' = = = Deeper = = = \n', ' = Third = \n', ' The end . \n']);
  });

  it('takes only a line between blank lines for a title', () => {
    const joiner = createArticleJoiner();
    const rows = [' = A = \n', '', ' x \n', '', ' = 5 = \n', ' y \n', ' = 6 = \n', '', ' = B = \n', ''];
    expect(rows.map((text) => joiner.push(text)).filter((text) => text !== undefined)).toEqual([
      ' = A = \n \n x \n \n = 5 = \n y \n = 6 = \n \n',
    ]);
    expect(joiner.finish()).toBe(' = B = \n \n');
  });

  it('loses no line, whatever the lines', () => {
    const row = fc.constantFrom('', ' \n', ' = A = \n', ' = = B = = \n', ' text \n', ' = x = y = \n', 'no feed');
    fc.assert(
      fc.property(fc.array(row), (rows) => {
        const joiner = createArticleJoiner();
        const documents = rows.flatMap((text) => joiner.push(text) ?? []);
        documents.push(...[joiner.finish() ?? []].flat());
        const published = rows.map((text) => (text.endsWith('\n') ? text : text === '' ? ' \n' : `${text}\n`)).join('');
        expect(documents.join('')).toBe(published.trim() === '' ? '' : published);
        for (const document of documents.slice(1)) expect(isArticleTitle(document.split('\n')[0])).toBe(true);
      }),
    );
  });
});

describe('sources', () => {
  it('are files of a directory and patterns, sorted', async () => {
    mkdirSync(path('corpus/inner'), { recursive: true });
    write('corpus/b.txt', 'B');
    write('corpus/a.jsonl', '{"text":"A"}');
    write('corpus/.hidden.txt', 'H');
    write('corpus/picture.png', 'P');
    write('corpus/c-1.txt', 'C1');
    write('corpus/inner/d.txt', 'D');
    expect(await textsOf(path('corpus'))).toEqual(['A', 'B', 'C1']);
    expect(await textsOf([path('corpus/?.txt'), path('corpus/a.jsonl')])).toEqual(['B', 'A']);
    expect(await textsOf(path('corpus/*.txt'))).toEqual(['B', 'C1']);
    expect(await textsOf(path('corpus/picture.png'), { format: 'text' })).toEqual(['P']);
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['nothing named', () => textsOf([]), /no sources/],
    ['a missing file', () => textsOf(path('absent.txt')), /absent\.txt does not exist/],
    ['a missing directory', () => textsOf(path('nowhere/*.txt')), /nowhere does not exist/],
    ['a pattern without matches', () => textsOf(path('corpus/*.xls')), /holds no text, JSON lines, CSV, TSV or Parquet/],
    ['an empty file', () => textsOf(write('empty.txt', '')), /no documents in .*empty\.txt \(1 files, all empty\)/],
    ['only malformed rows', () => textsOf(write('none.jsonl', '{}\n')), /no documents in .*1 malformed rows, first .*none\.jsonl:1/],
    ['gzip cut short', () => textsOf(write('cut.txt.gz', gzipSync('text '.repeat(9999)).subarray(0, 50))), /cut\.txt\.gz: cannot be read to its end/],
    ['no gzip', () => textsOf(write('not.txt.gz', 'plain')), /not\.txt\.gz: cannot be read to its end: incorrect header/],
  ])('throw on %s', async (_, read, message) => {
    await expect(read()).rejects.toThrow(message);
  });
});
