// TMX: which languages a unit gives, what is done with tags and with characters that XML does not allow, and hints that fit.
import { describe, expect, it } from 'vitest';
import { readPairs } from '../../src/parallel/read-pairs.js';
import { collect, temporaryFolder } from '../data/temporary.js';

const { write } = temporaryFolder();
let files = 0;
const unit = (segments: Record<string, string>): string => `<tu>${Object.entries(segments).map(([language, text]) => `<tuv xml:lang="${language}"><seg>${text}</seg></tuv>`).join('')}</tu>\n`;
const tmx = (...units: string[]): string => `<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4"><header/><body>\n${units.join('')}</body></tmx>`;

async function read(body: string, [source, target]: readonly string[] = ['de', 'en']) {
  const stream = readPairs([{ path: write(`memory-${files++}.tmx`, body) }], { languages: { source: source!, target: target! } });
  const pairs = await collect(stream);
  return { pairs: pairs.map((pair) => [pair.source, pair.target]), malformed: stream.malformed };
}

describe('languages', () => {
  const both = unit({ 'pt-PT': 'comboio', 'pt-BR': 'trem', en: 'train' });
  it.each([
    [['pt', 'pt-br'], ['comboio', 'trem']],
    [['pt-br', 'pt'], ['trem', 'comboio']],
    [['pt_PT', 'pt-BR'], ['comboio', 'trem']],
    [['pt-br', 'en'], ['trem', 'train']],
    [['pt', 'en'], ['comboio', 'train']],
  ])('%j: the longest code that fits takes a segment', async (languages, pair) => {
    expect((await read(tmx(both), languages)).pairs).toEqual([pair]);
  });

  it('a language itself comes before its regions, and the first of these before others', async () => {
    expect((await read(tmx(unit({ 'de-AT': 'Jänner', de: 'Januar', 'de-DE': 'nicht dies', 'en-GB': 'January' })))).pairs).toEqual([['Januar', 'January']]);
    expect((await read(tmx(unit({ 'de-AT': 'Jänner', 'de-DE': 'Januar', en: 'January' })))).pairs).toEqual([['Jänner', 'January']]);
  });

  it('names those of a unit that has not the ones wanted', async () => {
    await expect(read(tmx(unit({ deu: 'Ja', eng: 'Yes' })))).rejects.toThrow('no segment in "de" (it has deu, eng)');
  });
});

describe('tags', () => {
  it.each([
    ['eins<ph x="1">&lt;br/&gt;</ph>zwei', 'eins zwei'],
    ['eins<ph/>zwei', 'eins zwei'],
    ['eins <ph/>zwei, drei<ph/>.', 'eins zwei, drei.'],
    ['fe<bpt i="1">&lt;b&gt;</bpt>tt<ept i="1">&lt;/b&gt;</ept>es', 'fettes'],
    ['软件<ph/>更新', '软件更新'],
    ['a<hi>b</hi>c<it pos="begin">x</it>d', 'abcd'],
  ])('%s', async (segment, text) => {
    expect((await read(tmx(unit({ de: segment, en: 'x' })))).pairs).toEqual([[text, 'x']]);
  });
});

describe('characters that XML does not allow', () => {
  it.each(['&#x1F;', '\x1f', '&#xD800;', '\ufffe'])('%j leaves out its unit, which is counted by line, and no other', async (character) => {
    const body = tmx(unit({ de: 'Eins', en: 'One' }), unit({ de: `Z${character}wei`, en: 'Two' }), unit({ de: 'Drei', en: 'Three' }));
    const { pairs, malformed } = await read(body);
    expect(pairs).toEqual([['Eins', 'One'], ['Drei', 'Three']]);
    expect(malformed).toMatchObject({ count: 1, first: [{ place: expect.stringMatching(/\.tmx:4 unit 2$/), reason: 'a character that XML does not allow' }] });
  });
});

describe('hints', () => {
  const good = unit({ de: 'Ja', en: 'Yes' });
  it.each([
    ['a file cut short', tmx(good).slice(0, -30), 'cut short'],
    ['an entity of its own', tmx(good).replace('<tmx', '<!DOCTYPE tmx [<!ENTITY x "y">]><tmx').replace('Ja', '&x;'), 'replace them by their text'],
    ['another encoding', tmx(good).replace('UTF-8', 'ISO-8859-1'), 'iconv -f ISO-8859-1 -t UTF-8'],
    ['another format', '<dataset/>', 'another format'],
    ['a tag that does not fit', tmx(good).replace('</tuv>', '</seg>'), 'mend the file there'],
  ])('%s', async (_, body, hint) => {
    await expect(read(body)).rejects.toMatchObject({ code: 'data', message: expect.stringContaining('.tmx: not readable as TMX: '), hint: expect.stringContaining(hint) });
  });
});
