// The readers of parallel text: every format, plain and compressed, several sources; and one clear error for each way in which
// a file can be wrong.
import { mkdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fingerprintPairSources, parsePairSource, type PairFileSource } from '../../src/parallel/pair-sources.js';
import { readPairs, type ReadPairsOptions } from '../../src/parallel/read-pairs.js';
import { firstInvalidByte } from '../../src/data/utf8-text.js';
import { collect, temporaryFolder } from '../data/temporary.js';
import { fixture, fixturePairs, languages } from './support.js';

const { path, write } = temporaryFolder();

const read = async (sources: PairFileSource | PairFileSource[], options: Partial<ReadPairsOptions> = {}) =>
  (await collect(readPairs([sources].flat(), { languages, ...options }))).map(({ source, target, kind }) => ({ source, target, kind }));
const withoutKind = fixturePairs.map(({ source, target }) => ({ source, target, kind: undefined }));
const tsv = fixturePairs.map(({ source, target, kind }) => `${source}\t${target}\t${kind}\n`).join('');
const tmx = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="en"/><body>
${fixturePairs.map(({ source, target }) => `<tu>
  <tuv xml:lang="EN-us"><seg>${target.replace('door', '<hi>do<it pos="begin">&lt;img&gt;<sub>alt</sub></it>or</hi>')}</seg></tuv>
  <tuv xml:lang="fr"><seg>rien</seg></tuv><tuv lang="de_AT"><note>kein Text</note><seg><![CDATA[${source}]]></seg></tuv></tu>`).join('\n')}
</body></tmx>`;

describe('formats', () => {
  const bodies: [string, string, PairFileSource['fields'], boolean][] = [
    ['pairs.tsv', tsv, undefined, true],
    ['returns.tsv', tsv.replaceAll('\n', '\r\n').trimEnd(), undefined, true],
    ['other.tsv', fixturePairs.map(({ source, target, kind }) => `${kind}\tx\t${target}\t${source}\n`).join(''), { source: 4, target: 3, kind: 1 }, true],
    ['header.tsv', `id\tdeutsch\tenglish\n${fixturePairs.map(({ source, target }) => `7\t${source}\t${target}\n`).join('')}`, { source: 'deutsch', target: 'english' }, false],
    ['plain.jsonl', fixturePairs.map((pair) => `${JSON.stringify(pair)}\n`).join('\n'), undefined, true],
    ['codes.ndjson', fixturePairs.map(({ source, target }) => JSON.stringify({ de: source, en: target })).join('\n'), undefined, false],
    ['nested.json', fixturePairs.map(({ source, target }) => JSON.stringify({ translation: { de: source, en: target } })).join('\n'), undefined, false],
    ['named.jsonl', fixturePairs.map(({ source, target }) => JSON.stringify({ a: { s: source }, b: target })).join('\n'), { source: 'a.s', target: 'b' }, false],
    ['memory.tmx', tmx, undefined, false],
  ];

  it.each(bodies)('%s, plain and gzipped', async (name, body, fields, kinds) => {
    const expected = kinds ? fixturePairs : withoutKind;
    expect(await read({ path: write(name, `\uFEFF${body}`), fields })).toEqual(expected);
    expect(await read({ path: write(`${name}.gz`, gzipSync(body)), fields })).toEqual(expected);
  });

  const rows = fixturePairs.map(({ source, target }) => `${source}\t${target}\n`).join('');
  const numbered = fixturePairs.map(({ source, target }, i) => `${i}\t${target}\t${source}\n`).join('');
  it.each<[string, string, PairFileSource['fields']]>([
    ['source\ttarget', rows, undefined],
    ['de\ten', rows, undefined],
    ['German\tEnglish', rows, undefined],
    ['"Deutsch"\t"Englisch"'.replace('Englisch', 'English'), rows, undefined],
    ['id\ttgt\tsrc', numbered, undefined],
    ['id\ten\tde', numbered, { source: 3, target: 2 }],
  ])('a TSV whose first line is %j: that line is no pair, and says which columns are', async (header, body, fields) => {
    const stream = readPairs([{ path: write('with-header.tsv', `${header}\n${body}`), fields }], { languages });
    expect((await collect(stream)).map(({ source, target }) => ({ source, target, kind: undefined }))).toEqual(withoutKind);
    expect(stream.notes).toEqual([expect.stringContaining('with-header.tsv: its first line names the columns')]);
  });

  it('a TSV whose first line only looks like names keeps it', async () => {
    const stream = readPairs([{ path: write('no-header.tsv', `Quelle\tsource\n${rows}`) }], { languages });
    expect(await collect(stream)).toHaveLength(4);
    expect(stream.notes).toEqual([]);
  });

  it('two line-aligned files', async () => {
    const source = write('text.de', fixturePairs.map((pair) => pair.source).join('\n'));
    const target = write('text.en.gz', gzipSync(`${fixturePairs.map((pair) => pair.target).join('\r\n')}\r\n`));
    expect(await read({ path: source, target, kind: 'own' })).toEqual(withoutKind.map((pair) => ({ ...pair, kind: 'own' })));
    expect(await read(parsePairSource(`${source}::${target}`))).toEqual(withoutKind);
    expect((await collect(readPairs([{ path: source, target }], { languages })))[2].place).toBe(`${source}:3`);
  });

  it('Parquet with flat and with nested columns, also packed', async () => {
    expect(await read({ path: fixture('flat.parquet') })).toEqual(fixturePairs);
    expect(await read({ path: fixture('nested.parquet') })).toEqual(withoutKind);
    expect(await read({ path: fixture('flat.parquet'), fields: { source: 'target', target: 'source' } })).toEqual(
      withoutKind.map(({ source, target }) => ({ source: target, target: source, kind: undefined })),
    );
    expect(await read({ path: write('flat.parquet.gz', gzipSync(readFileSync(fixture('flat.parquet')))) })).toEqual(fixturePairs);
  });

  it('zstd, also in several frames and blocks', async () => {
    expect(await read({ path: fixture('pairs.tsv.zst') })).toEqual(fixturePairs);
    const pairs = await read({ path: fixture('frames.tsv.zst') });
    expect(pairs).toHaveLength(6000);
    expect(pairs[5999]).toEqual({ source: `Zeile 5999 ist lang: ${'ä'.repeat(49)}`, target: `Line 5999 is long: ${'a'.repeat(49)}`, kind: 'n2' });
  });

  it('several sources, directories and patterns, in order', async () => {
    mkdirSync(path('folder'));
    write('folder/b.tsv', 'b\tB\n');
    write('folder/a.jsonl', '{"source":"a","target":"A"}\n');
    write('folder/ignored.md', 'no pairs\n');
    const sources = await read([{ path: path('folder'), kind: 'd' }, { path: path('folder/*.tsv') }]);
    expect(sources.map(({ source, kind }) => `${source} ${kind}`)).toEqual(['a d', 'b d', 'b undefined']);
  });

  it('gives back lines of any shape across chunk borders', async () => {
    const side = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => `x${text.replace(/[\t\n\r\uFEFF]/g, '')}x`);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(side, side), { minLength: 1, maxLength: 9 }), async (rows) => {
        const file = write('property.tsv', rows.map((row) => `${row.join('\t')}\n`).join(''));
        expect((await read({ path: file })).map(({ source, target }) => [source, target])).toEqual(rows);
      }),
      { numRuns: 30 },
    );
    const long = Array.from({ length: 40 }, (_, i) => `${i}${'é€😀'.repeat(9_000)}`); // several chunks, cut inside characters
    expect((await read({ path: write('long.tsv', long.map((text) => `${text}\tt\n`).join('')) })).map(({ source }) => source)).toEqual(long);
  });
});

describe('what cannot be a pair', () => {
  it('is counted by place and reason', async () => {
    const file = write('rows.tsv', 'a\tA\n\nno tab\nb\tB\n');
    const stream = readPairs([{ path: file }], { languages });
    expect((await collect(stream)).map(({ source }) => source)).toEqual(['a', 'b']);
    expect(stream.malformed).toEqual({ count: 1, first: [{ place: `${file}:3`, reason: '1 tab-separated column instead of 2' }] });
    const json = write('rows.jsonl', '{"source":"a","target":"A"}\n{"source":"cut\n[1]\n{"source":"x"}\n{"source":"y","target":"\\ud800"}\n');
    const rows = readPairs([{ path: json }], { languages });
    expect(await collect(rows)).toHaveLength(1);
    expect(rows.malformed.first.map(({ reason }) => reason.split(':')[0])).toEqual([
      'not JSON', 'not a JSON object', 'no string field "target"', 'field "target" holds half a surrogate pair',
    ]);
    const units = readPairs([{ path: write('units.tmx', tmx.replace('de_AT', 'nl')) }], { languages });
    expect(await collect(units)).toHaveLength(2);
    expect(units.malformed.first[0].reason).toBe('no segment in "de" (it has EN-us, fr, nl)');
    const bytes = readPairs([{ path: fixture('invalid.parquet') }], { languages });
    expect(await collect(bytes)).toHaveLength(1);
    expect(bytes.malformed.first[0].reason).toBe('field "source" is not UTF-8');
  });

  it('is an error with strict', async () => {
    const file = write('strict.tsv', 'a\tA\nno tab\n');
    await expect(read({ path: file }, { strict: true })).rejects.toThrow(`readPairs: ${file}:2: 1 tab-separated column instead of 2`);
  });

  it('keeps empty sides for the cleaning to count', async () => {
    expect(await read({ path: write('empty-side.tsv', '\tA\nb\t\n') })).toEqual([
      { source: '', target: 'A', kind: undefined },
      { source: 'b', target: '', kind: undefined },
    ]);
  });
});

describe('errors', () => {
  const aligned = (source: string, target: string) => read({ path: write('one.txt', source), target: write('two.txt', target) });
  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['fewer targets', () => aligned('1\n2\n3\n', '1\n2\n'), /not aligned: .*one\.txt has 3 lines and .*two\.txt has 2$/],
    ['fewer sources, far on', () => aligned('1\n', '1\n'.repeat(90_000)), /one\.txt has 1 lines and .*two\.txt has 90000$/],
    ['an empty file', () => aligned('', ''), /one\.txt holds no pairs: it is empty/],
    ['Latin-1', () => read({ path: write('latin.tsv', Buffer.from('schön\tnice\n', 'latin1')) }), /latin\.tsv is not UTF-8: byte 3 begins no character/],
    ['Latin-1 after a chunk', () => read({ path: write('far.tsv', Buffer.concat([Buffer.from('ä\tb\n'.repeat(100_000)), Buffer.from([0xe4, 9, 98, 10])])) }), /byte 500000 begins no character/],
    ['a character cut at the end', () => read({ path: write('cut.tsv', Buffer.from([97, 9, 98, 0xe2, 0x82])) }), /byte 3 begins no character/],
    ['the same, unpacked', () => read({ path: write('cut.tsv.gz', gzipSync(Buffer.from([97, 9, 0xff]))) }), /byte 2 of the unpacked text/],
    ['UTF-16', () => read({ path: write('wide.tsv', Buffer.from('\uFEFFa\tb\n', 'utf16le')) }), /wide\.tsv is UTF-16 and not UTF-8/],
    ['zstd cut short', () => read({ path: fixture('cut.tsv.zst') }), /cut\.tsv\.zst: cannot be read to its end/],
    ['no zstd', () => read({ path: write('not.tsv.zst', 'a\tb\n'.repeat(9)) }), /not\.tsv\.zst: cannot be read to its end/],
    ['an empty zstd file', () => read({ path: write('none.tsv.zst', '') }), /cannot be read to its end: the file is empty/],
    ['no XML', () => read({ path: write('not.tmx', 'a\tb\n') }), /not\.tmx: not readable as TMX/],
    ['other XML', () => read({ path: write('other.tmx', '<xliff/>') }), /its first element is <xliff> and not <tmx>/],
    ['TMX cut short', () => read({ path: write('short.tmx', tmx.slice(0, -20)) }), /short\.tmx: not readable as TMX: .*unclosed tag/],
    ['TMX of another encoding', () => read({ path: write('encoded.tmx', tmx.replace('UTF-8', 'UTF-16')) }), /it says its encoding is UTF-16/],
    ['TMX of other languages', () => read({ path: write('langs.tmx', tmx) }, { languages: { source: 'uk', target: 'en' } }), /langs\.tmx holds no pairs: 3 malformed rows.*no segment in "uk"/],
    ['no Parquet', () => read({ path: write('not.parquet', 'PAR1 no') }), /not readable as Parquet/],
    ['unknown fields', () => read({ path: write('fields.jsonl', '{"left":"a","right":"b"}') }), /the fields of source and target are not clear \(it has left, right\)/],
    ['a field that is not there', () => read({ path: fixture('flat.parquet'), fields: { source: 'sorce', target: 'target' } }), /has no field "sorce" \(it has source, target, kind\)/],
    ['a column that is not there', () => read({ path: write('head.tsv', 'de\ten\na\tb\n'), fields: { source: 'de', target: 'eng' } }), /no column "eng" in its first line/],
    ['a missing file', () => read({ path: path('absent.tsv') }), /absent\.tsv does not exist/],
    ['a missing target', () => read({ path: write('there.txt', 'a'), target: path('absent.txt') }), /absent\.txt does not exist/],
    ['an unknown format', () => read({ path: write('what.txt', 'a') }), /what\.txt holds no TSV, CSV, JSON lines, Parquet, TMX or WMT XML files/],
    ['lines without target', () => read({ path: write('alone.txt', 'a'), format: 'lines' }), /alone\.txt has no target file/],
    ['no sources', () => read([]), /no sources/],
    ['nearly only malformed rows', () => read({ path: write('most.tsv', `a\tb\n${'no tab\n'.repeat(10)}`) }), /most\.tsv holds only 1 pairs: 10 malformed rows, such as .*most\.tsv:11: 1 tab-separated column/],
    ['only malformed rows', () => read({ path: write('bad.tsv', 'x\ny\n') }), /bad\.tsv holds no pairs: 2 malformed rows/],
  ])('%s', async (_, act, message) => {
    await expect(act()).rejects.toThrow(message);
    await expect(act()).rejects.toMatchObject({ hint: expect.any(String) as string });
  });

  it('of a word that names no pair', () => {
    expect(() => parsePairSource('a::b::c')).toThrow('"a::b::c" names no pairs');
    expect(() => parsePairSource('a::')).toThrow('names no pairs');
    expect(parsePairSource('a.tsv')).toEqual({ path: 'a.tsv' });
  });
});

describe('helpers', () => {
  it('finds the first byte that is not UTF-8, like the platform', () => {
    const fatal = new TextDecoder('utf-8', { fatal: true });
    const valid = (bytes: Uint8Array): boolean => {
      try {
        fatal.decode(bytes);
        return true;
      } catch {
        return false;
      }
    };
    const mixed = fc.array(fc.oneof(fc.string({ unit: 'grapheme', maxLength: 3 }).map((text) => Buffer.from(text)), fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes))));
    fc.assert(
      fc.property(mixed, (parts) => {
        const bytes = Buffer.concat(parts);
        const at = firstInvalidByte(bytes);
        expect(at === -1).toBe(valid(bytes));
        if (at >= 0) expect(valid(bytes.subarray(0, at))).toBe(true);
      }),
      { numRuns: 2000 },
    );
    for (const bad of [[0xc0, 0x80], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x80, 0x80, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xf5], [0x80]]) {
      expect(firstInvalidByte(Uint8Array.from([97, ...bad]))).toBe(1);
    }
  });

  it('fingerprints files by what they hold and how they are read, whatever they are called', async () => {
    const file = write('print.tsv', 'a\tb\n');
    const plain = await fingerprintPairSources([{ path: file }]);
    mkdirSync(path('elsewhere'), { recursive: true });
    expect(await fingerprintPairSources([{ path: write('elsewhere/other.tsv', 'a\tb\n') }])).toBe(plain);
    expect(await fingerprintPairSources([{ path: file, kind: 'x' }])).not.toBe(plain);
    expect(await fingerprintPairSources([{ path: file, fields: { source: 2, target: 1 } }])).not.toBe(plain);
    expect(await fingerprintPairSources([{ path: file, target: file }])).not.toBe(await fingerprintPairSources([{ path: file }, { path: file }]));
    // Another text of the same name, size and time.
    const other = write('elsewhere/print.tsv', 'a\tc\n');
    const { atime, mtime } = statSync(file);
    utimesSync(other, atime, mtime);
    const record = path('sources.json');
    expect(await fingerprintPairSources([{ path: file }], record)).toBe(plain);
    expect(await fingerprintPairSources([{ path: other }], record)).not.toBe(plain);
  });
});
