// WMT test sets in XML and SGML: every segment with its reference by document and id, which reference, and what is refused.
import { gzipSync } from 'node:zlib';
import { isXMoEError } from '@xmoe/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePairSource, type PairFileSource } from '../../src/parallel/pair-sources.js';
import { readPairs, type ReadPairsOptions } from '../../src/parallel/read-pairs.js';
import { collect, temporaryFolder } from '../data/temporary.js';
import { languages } from './support.js';

const { write } = temporaryFolder();
let files = 0;
const file = (content: string, ending: string): string => write(`set-${files++}.${ending}`, content);

/** Documents of three, two and one segment; ids begin anew in each. */
const DOCUMENTS = [['a', 3], ['b', 2], ['c', 1]] as const;
const ids = DOCUMENTS.flatMap(([id, count]) => Array.from({ length: count }, (_, index) => [id, index + 1] as const));
const wanted = ids.map(([id, segment]) => ({ source: `Satz ${segment} von ${id} & Söhne <k>`, target: `Sentence ${segment} of ${id}` }));
const escaped = (text: string): string => text.replace('&', '&amp;').replace('<k>', '&lt;k&gt;');
const sentence = (id: string, segment: number, translator: string): string => `Sentence ${segment} of ${id}${translator === 'A' ? '' : ` by ${translator}`}`;

interface XmlOptions {
  translators?: readonly string[];
  /** Leaves out a reference, or gives it another id. */
  reference?(id: string, segment: number, translator: string): number | undefined;
  source?: string;
}

function xml({ translators = ['A'], reference = (_, segment) => segment, source = 'de' }: XmlOptions = {}): string {
  const segments = (count: number, textOf: (segment: number) => string, idOf: (segment: number) => number | undefined = (segment) => segment) =>
    Array.from({ length: count }, (_, index) => index + 1).reverse() // order does not matter, ids do
      .map((segment) => (idOf(segment) === undefined ? '' : `<seg id="${idOf(segment)}">${textOf(segment)}</seg>\n`)).join('');
  const documents = DOCUMENTS.map(([id, count]) => `<doc origlang="de" id="${id}" domain="${id === 'c' ? 'social' : 'news'}"><src lang="${source}"><p>
    ${Array.from({ length: count }, (_, index) => `<seg id="${index + 1}">${escaped(`Satz ${index + 1} von ${id} & Söhne <k>`)}</seg>`).join('')}</p></src>
    ${translators.map((name) => `<ref lang="en" translator="${name}"><p>${segments(count, (segment) => sentence(id, segment, name), (segment) => reference(id, segment, name))}</p></ref>`).join('')}
    <hyp system="other" lang="en"><p>${segments(count, () => 'not this')}</p></hyp></doc>`);
  return `<?xml version='1.0' encoding='utf-8'?>\n<dataset id="wmt"><collection id="general">${documents.join('\n')}
    <doc id="suite" testsuite="x"><src lang="de"><p><seg id="1">Probe</seg></p></src></doc></collection></dataset>`;
}

const sgmSources = (language = 'any'): string => `<!DOCTYPE srcset SYSTEM "x.dtd">\n<SRCSET setid="s" srclang="${language}">
${DOCUMENTS.map(([id, count]) => `<DOC docid="${id}" genre='news'>\n<hl><p>\n${Array.from({ length: count }, (_, index) => `<seg id="${index + 1}"> Satz ${index + 1} von ${id} & Söhne &lt;k&gt; </seg>\n`).join('')}</p></hl></DOC>`).join('\n')}</SRCSET>`;
const sgmReferences = (translators: readonly string[] = ['A'], keep: (id: string, segment: number, translator: string) => boolean = () => true): string => `<refset setid="s" srclang="any" trglang="en">
${translators.flatMap((name) => [...DOCUMENTS].reverse().map(([id, count]) => `<doc sysid="${name}" docid=${id}>${Array.from({ length: count }, (_, index) => index + 1).reverse()
    .filter((segment) => keep(id, segment, name)).map((segment) => `<seg id="${segment}">${sentence(id, segment, name)}</seg>`).join('\n')}</doc>`)).join('\n')}</refset>`;

const read = async (source: PairFileSource, options: Partial<ReadPairsOptions> = {}) => {
  const stream = readPairs([source], { languages, ...options });
  const pairs = await collect(stream);
  return { pairs, texts: pairs.map(({ source: from, target }) => ({ source: from, target })), notes: stream.notes };
};
const readXml = (options?: XmlOptions, more?: Partial<PairFileSource>) => read({ path: file(xml(options), 'xml'), ...more });
const readSgm = (sources: string, references: string, more?: Partial<PairFileSource>) => read({ path: file(sources, 'sgm'), target: file(references, 'sgm'), ...more });
const byB = wanted.map(({ source, target }) => ({ source, target: `${target} by B` }));

describe('in XML', () => {
  it('gives every segment with its reference, by document and id; the domain is the kind', async () => {
    const { pairs, texts, notes } = await readXml();
    expect(texts).toEqual(wanted);
    expect(pairs.map(({ kind }) => kind)).toEqual(['news', 'news', 'news', 'news', 'news', 'social']);
    expect(pairs[3]!.place).toMatch(/\.xml document b segment 1$/);
    expect(notes).toEqual([]);
    expect((await read({ path: write('packed.xml.gz', gzipSync(xml())) })).texts).toEqual(wanted);
  });

  it('takes the reference that has all segments, A where there are several, or the one that is named; and says so', async () => {
    const several = await readXml({ translators: ['B', 'A'] });
    expect(several.texts).toEqual(wanted);
    expect(several.notes).toEqual([expect.stringMatching(/\.xml: reference A is used; others there: B$/)]);
    const partly = await readXml({ translators: ['A', 'B'], reference: (id, segment, name) => (name === 'A' && id === 'b' && segment === 2 ? undefined : segment) });
    expect(partly.texts).toEqual(byB);
    expect((await readXml({ translators: ['A', 'B'] }, { fields: { source: 'src', target: 'B' } })).texts).toEqual(byB);
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['a missing segment', () => readXml({ reference: (id, segment) => (id === 'b' && segment === 2 ? undefined : segment) }), /document b: segment 2 is missing from reference A/],
    ['a segment too many', () => readXml({ reference: (id, segment) => (id === 'c' ? 7 : segment) }), /document c: segment 1 is missing from reference A/],
    ['an id twice', () => readXml({ reference: () => 1 }), /document a: the reference has two segments 1/],
    ['another translator than there is', () => readXml({}, { fields: { source: 'src', target: 'C' } }), /it has no reference C/],
    ['no reference', () => readXml({ translators: [] }), /no reference in the target language/],
    ['the other direction', () => readXml({ source: 'en' }), /document a has its source in "en" and not in "de"/],
    ['another first element', () => read({ path: file('<tmx version="1.4"/>', 'xml') }), /its first element is <tmx> and not <dataset>/],
    ['a file cut short', () => read({ path: file(xml().slice(0, -300), 'xml') }), /not readable as a WMT test set: .*unclosed tag/],
    ['an entity of its own', () => read({ path: file(xml().replace('<dataset', '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<dataset').replace('Satz 1', 'Satz &x;'), 'xml') }), /undefined entity/],
    ['a character that XML does not allow', () => read({ path: file(xml().replace('Satz 1', 'Satz &#x1F;'), 'xml') }), /malformed character entity/],
    ['an empty set', () => read({ path: file('<dataset id="x"></dataset>', 'xml') }), /it has no segments/],
  ])('refuses %s', async (_, reading, message) => {
    await expect(reading()).rejects.toThrow(message);
    await expect(reading()).rejects.toMatchObject({ code: 'data', hint: expect.stringMatching(/\w/) });
  });
});

describe('in SGML', () => {
  it('matches the two files by document and id, whatever their order; ampersands may stand for themselves', async () => {
    const { pairs, texts } = await readSgm(sgmSources(), sgmReferences());
    expect(texts).toEqual(wanted);
    expect(pairs[5]!.place).toMatch(/\.sgm document c segment 1$/);
    const [sources, references] = [write('s.sgm.gz', gzipSync(sgmSources('de'))), file(sgmReferences(), 'sgm')];
    expect((await read(parsePairSource(`${sources}::${references}`))).texts).toEqual(wanted);
  });

  it('takes the reference that has all segments', async () => {
    const partly = await readSgm(sgmSources(), sgmReferences(['A', 'B'], (id, segment, name) => name === 'B' || id !== 'a' || segment !== 3));
    expect(partly.texts).toEqual(byB);
    expect(partly.notes).toEqual([expect.stringMatching(/reference B is used; others there: A$/)]);
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['one file alone', () => read({ path: file(sgmSources(), 'sgm') }), /has no target file/],
    ['a plain text beside it', () => read({ path: file(sgmSources(), 'sgm'), target: file('a\n', 'txt') }), /are of different formats/],
    ['the files the wrong way round', () => readSgm(sgmReferences(), sgmSources()), /it is a <refset> and not a <srcset>/],
    ['the other direction', () => readSgm(sgmSources('en'), sgmReferences()), /it is in "en" and not in "de"/],
    ['a missing segment', () => readSgm(sgmSources(), sgmReferences(['A'], (id, segment) => id !== 'a' || segment !== 2)), /document a: segment 2 is missing from reference A/],
    ['another document', () => readSgm(sgmSources().replace('docid="b"', 'docid="x"'), sgmReferences()), /document b is not among the sources/],
    ['a segment that does not end', () => readSgm(sgmSources().replace('</seg>', ''), sgmReferences()), /the segment at line \d+ does not end/],
    ['a file cut short', () => readSgm(sgmSources(), sgmReferences().slice(0, -40)), /it ends within/],
    ['entities of its own', () => readSgm(sgmSources().replace('"x.dtd"', '"x.dtd" [<!ENTITY x "y">]'), sgmReferences()), /it defines entities/],
    ['something else', () => readSgm('<html>', sgmReferences()), /it has no <srcset>/],
  ])('refuses %s', async (_, reading, message) => {
    await expect(reading()).rejects.toThrow(message);
    await expect(reading()).rejects.toMatchObject({ hint: expect.stringMatching(/\w/) });
  });
});

it('damage is a typed error, or changes no more than the text of a segment', async () => {
  const bodies = [xml(), sgmReferences()];
  await fc.assert(fc.asyncProperty(fc.nat(1), fc.nat(3000), fc.constantFrom('', '<', '>', '"', '&', 'x', '</', '\0', '\ufffd'), fc.boolean(), async (which, at, insert, cut) => {
    const body = bodies[which]!;
    const place = at % body.length;
    const damaged = body.slice(0, place) + insert + (cut ? '' : body.slice(place + 1));
    try {
      const { pairs } = which === 0 ? await read({ path: file(damaged, 'xml') }) : await readSgm(sgmSources(), damaged);
      expect(pairs).toHaveLength(ids.length);
    } catch (error) {
      if (!isXMoEError(error)) throw error;
    }
  }), { numRuns: 300 });
});
