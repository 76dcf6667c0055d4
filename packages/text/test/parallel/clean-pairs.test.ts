// Each filter drops what it says and nothing else, normalisation changes nothing that a reader sees, and scripts are told apart.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPairCleaner, type CleaningFilter, type CleaningOptions } from '../../src/parallel/clean-pairs.js';
import { normaliseText, hashText53, matchKey } from '../../src/parallel/normalise-text.js';
import { scriptsOf, scriptShare, weightedLength } from '../../src/parallel/scripts.js';
import { languages } from './support.js';

const dropsOf = (pairs: [string, string][], options: CleaningOptions = {}, codes = languages) => {
  const cleaner = createPairCleaner(codes, options);
  const kept = pairs.map(([source, target], i) => cleaner.clean({ source, target, place: `pair ${i}` })).map((pair) => pair !== undefined);
  return { kept, counts: cleaner.counts() };
};
const ok: [string, string] = ['Ein ganzer Satz.', 'A whole sentence.'];

describe('filters', () => {
  it.each<[CleaningFilter, [string, string], CleaningOptions]>([
    ['empty', ['\u200B \t', 'Something'], {}],
    ['damaged', ['K\uFFFDln', 'Cologne'], {}],
    ['short', ['Ei', 'Egg and more'], { minCharacters: 3 }],
    ['long', ['Ein Satz. '.repeat(6), 'A sentence. '.repeat(6)], { maxCharacters: 50 }],
    ['ratio', ['Ja, das ist gut.', 'Yes. '.repeat(20)], {}],
    ['copy', ['GNU Emacs', 'GNU Emacs'], {}],
    ['noLetters', ['100 %', '100 per cent'], {}],
    ['script', ['Это не немецкий', 'This is not German'], {}],
    ['duplicate', ok, {}],
  ])('%s', (filter, pair, options) => {
    const { kept, counts } = dropsOf([ok, pair], options);
    expect(kept).toEqual([true, false]);
    expect(Object.entries(counts.dropped).filter(([, count]) => count > 0)).toEqual([[filter, 1]]);
    expect(counts.examples[filter]).toEqual([{ place: 'pair 1', source: pair[0], target: pair[1] }]);
    expect(counts.read).toBe(2);
  });

  it('that are turned off drop nothing', () => {
    const off = { removeCopies: false, removeDuplicates: false, minScriptShare: 0, maxLengthRatio: 99 };
    const pairs: [string, string][] = [['GNU', 'GNU'], ['GNU', 'GNU'], ['Привет', 'Hello'], ['12', '34'], ['Ja.', 'Yes. '.repeat(20)]];
    expect(dropsOf(pairs, off).kept).toEqual([true, true, true, true, true]);
  });

  it('measure dense scripts by their density', () => {
    const zh = { source: 'zh', target: 'en' };
    const pair: [string, string] = ['打开文件并等待系统回复', 'Open the file and wait for the system to reply'];
    expect(dropsOf([pair], {}, zh).kept).toEqual([true]);
    expect(weightedLength(pair[0])).toBe(33);
    expect(dropsOf([['打开', 'Open the file and wait for the system to reply']], {}, zh).counts.dropped.ratio).toBe(1);
    expect(dropsOf([['在GNU/Linux上使用Emacs编辑文件', 'Edit files with Emacs on GNU/Linux']], {}, zh).kept).toEqual([true]);
  });

  it('count what normalisation changed', () => {
    const cleaner = createPairCleaner(languages);
    expect(cleaner.clean({ source: ' Ein\u00a0 Satz\u0007', target: 'A sentence', place: '1' })).toEqual({ source: 'Ein Satz', target: 'A sentence', place: '1' });
    expect(cleaner.counts().normalised).toBe(1);
  });

  it('refuse an empty side when strict', () => {
    const cleaner = createPairCleaner(languages, {}, true);
    expect(() => cleaner.clean({ source: 'Text', target: ' \u200b', place: 'a.tsv:7' })).toThrow('a.tsv:7: the target is empty');
  });

  it.each<[CleaningOptions, string]>([
    [{ minCharacters: 9, maxCharacters: 3 }, 'minCharacters is 9 and maxCharacters 3'],
    [{ maxLengthRatio: 0.5 }, 'maxLengthRatio is 0.5'],
    [{ minScriptShare: 2 }, 'minScriptShare is 2'],
  ])('refuse %j', (options, message) => {
    expect(() => createPairCleaner(languages, options)).toThrow(message);
  });
});

describe('scripts', () => {
  it('of languages', () => {
    expect(['de', 'uk', 'ru', 'he', 'zh', 'zh_Hans', 'pt-br', 'ja', 'SR'].map((code) => scriptsOf(code).join('+'))).toEqual([
      'Latin', 'Cyrillic', 'Cyrillic', 'Hebrew', 'Han', 'Han', 'Latin', 'Han+Hiragana+Katakana', 'Cyrillic+Latin',
    ]);
  });

  it('of an unknown language are an error', () => {
    expect(() => scriptsOf('xx')).toThrow('the script of language "xx" is not known');
    expect(() => createPairCleaner({ source: 'qq', target: 'en' })).toThrow('"qq"');
    expect(() => createPairCleaner({ source: 'qq', target: 'en' }, { minScriptShare: 0 })).not.toThrow();
  });

  it('share of letters', () => {
    expect(scriptShare('Файл «foo» 123', ['Cyrillic'])).toBeCloseTo(4 / 7);
    expect(scriptShare('שלום abc', ['Hebrew'])).toBeCloseTo(4 / 7);
    expect(scriptShare('打开ab', ['Han'])).toBeCloseTo(6 / 8);
    expect(scriptShare('123 …', ['Latin'])).toBeNaN();
  });
});

describe('texts', () => {
  it('are normalised once and for all', () => {
    const text = fc.string({ unit: 'binary', maxLength: 30 }).map((value) => value.replace(/\p{Surrogate}/gu, ''));
    fc.assert(
      fc.property(text, (value) => {
        expect(normaliseText(normaliseText(value))).toBe(normaliseText(value));
      }),
      { numRuns: 2000 },
    );
    expect(normaliseText('e\u200b\u0301')).toBe('é'); // composed once nothing stands between
    expect(normaliseText('e\u0301 \u200f„a“\u00ad\r\n\tb\u2028c\u0000')).toBe('é „a“ b c');
    expect(normaliseText('keep  👩‍👩‍👧 and कि\u200dक')).toBe('keep 👩‍👩‍👧 and कि\u200dक');
  });

  it('have a match key of letters and places of numbers, the same by both ways', () => {
    expect(matchKey('Open "File 12" (now)!')).toBe('open file 0 now');
    expect(matchKey('Öffne 3,5 Dateien…')).toBe('öffne 0 0 dateien');
    expect(matchKey('?!')).toBe('?!');
    expect(matchKey('A 00 1,23 4\u00ad5')).toBe('a 0 0 0 0');
    expect(matchKey('Ab\u00adbre\u200bchen\u2060 \u200emi\u200dt')).toBe('abbrechen mit');
    expect(matchKey('?\u200b!')).toBe('?!');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii', maxLength: 40 }), (value) => {
        // the no-break space takes the slow way and is a separator like any other
        expect(matchKey(`${value} \u00a0x`)).toBe(matchKey(`${value} x`));
      }),
    );
  });

  it('are hashed to 53 bits without collisions among many alike', () => {
    const hashes = new Set(Array.from({ length: 200_000 }, (_, i) => hashText53(`text ${i}`)));
    expect(hashes.size).toBe(200_000);
    const values = [...hashes];
    expect(values.every((value) => Number.isSafeInteger(value) && value >= 0)).toBe(true);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length / 2 ** 53;
    expect(mean).toBeGreaterThan(0.495);
    expect(mean).toBeLessThan(0.505);
    expect(hashText53('a', 1)).not.toBe(hashText53('a', 2));
  });
});
