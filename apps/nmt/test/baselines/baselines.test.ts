// The baselines: copying, and a dictionary that IBM model 1 learns. The model is compared with a plain implementation.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCopyBaseline, scoreBaselines, trainDictionary } from '../../src/baselines/index.js';
import { NULL_WORD, trainLexicalModel } from '../../src/baselines/lexical-model.js';
import { createWordSplitter, joinWords } from '../../src/baselines/words.js';

const german = { sourceLanguage: 'de', targetLanguage: 'en' };
const small = [
  { source: 'das Haus', target: 'the house' },
  { source: 'das Buch', target: 'the book' },
  { source: 'ein Buch', target: 'a book' },
  { source: 'ein Haus', target: 'a house' },
];

/** IBM model 1 with a probability for every two words. */
function plainModel(pairs: readonly [number[], number[]][], sourceWords: number, targetWords: number, iterations: number): number[][] {
  let t = Array.from({ length: sourceWords + 1 }, () => new Array<number>(targetWords).fill(1 / targetWords));
  for (let round = 0; round < iterations; round++) {
    const count = t.map((row) => row.map(() => 0));
    for (const [source, target] of pairs) {
      for (const to of target) {
        const all = [NULL_WORD, ...source];
        const sum = all.reduce((total, from) => total + t[from][to], 0);
        for (const from of all) count[from][to] += t[from][to] / sum;
      }
    }
    t = count.map((row) => {
      const total = row.reduce((sum, value) => sum + value, 0);
      return row.map((value) => (total === 0 ? 0 : value / total));
    });
  }
  return t;
}

describe('IBM model 1', () => {
  it('finds what the plain form finds', () => {
    const sentence = (least: number, most: number) => fc.array(fc.integer({ min: least, max: most }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(fc.tuple(sentence(1, 6), sentence(0, 6)), { minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 6 }), (pairs, iterations) => {
        const model = trainLexicalModel(pairs.map(([source, target]) => ({ source: Int32Array.from(source), target: Int32Array.from(target) })), 6, iterations);
        const plain = plainModel(pairs, 6, 7, iterations);
        for (let word = 1; word <= 6; word++) {
          const seen = pairs.some(([source]) => source.includes(word));
          const best = model.best(word);
          if (!seen) expect(best).toBe(-1);
          else expect(plain[word][best]).toBeGreaterThan(Math.max(...plain[word]) - 1e-9);
        }
      }),
      { numRuns: 200 },
    );
    expect(trainLexicalModel([], 0, 1).best(3)).toBe(-1);
  });
});

describe('the dictionary', () => {
  it('translates word by word and copies what it does not know', () => {
    const dictionary = trainDictionary(small, german);
    expect(dictionary.words).toBe(4);
    expect(dictionary.translate('ein Haus')).toBe('a house');
    expect(dictionary.translate('Haus das {0} Xylophon')).toBe('house the {0} Xylophon');
    expect(dictionary.translate('')).toBe('');
  });

  it('begins with a capital letter where the training text does', () => {
    const capital = small.map(({ source, target }) => ({ source, target: target[0].toUpperCase() + target.slice(1) }));
    expect(trainDictionary(capital, german).translate('das Buch')).toMatch(/^The /);
  });

  it('learns from pairs spread over all when there are too many', () => {
    const many = Array.from({ length: 100 }, (_, i) => ({ source: `wort${i % 10}`, target: `word${i % 10}` }));
    const dictionary = trainDictionary(many, { ...german, maximumPairs: 9 });
    expect(dictionary.words).toBeLessThan(10);
  });

  it('refuses to learn from nothing', () => {
    expect(() => trainDictionary([], german)).toThrow('no pair to learn a dictionary from (0 given');
  });
});

describe('words', () => {
  it('are those of the language, placeholders whole', () => {
    expect(createWordSplitter('de')('Öffnen Sie {0} (z. B. `a b`)!')).toEqual(['Öffnen', 'Sie', '{0}', '(', 'z', '.', 'B', '.', '`a b`', ')', '!']);
    expect(createWordSplitter('zh')('打开文件。').length).toBeGreaterThan(2);
    expect(createWordSplitter('uk')('об’єднання').length).toBe(1);
  });

  it('are joined as English is written', () => {
    const text = 'The "quick" fox (or {0}) isn\'t here, is well-known; 5% of \'all\'.';
    expect(joinWords(createWordSplitter('en')(text))).toBe(text);
  });
});

describe('scores', () => {
  it('of both baselines on the pairs of a test', () => {
    const test = [{ source: 'das Haus', target: 'the house' }, { source: 'GNU Emacs', target: 'GNU Emacs' }];
    const [copy, dictionary] = scoreBaselines(small, test, { source: 'de', target: 'en' });
    expect([copy.name, dictionary.name]).toEqual(['copy of the source', 'word-by-word dictionary']);
    expect(copy.translations).toEqual(test.map(({ source }) => createCopyBaseline().translate(source)));
    expect(dictionary.translations).toEqual(['the house', 'GNU Emacs']);
    expect(dictionary.chrf).toBeCloseTo(100);
    expect(copy.chrf).toBeLessThan(70);
    expect(copy.bleu).toBeLessThan(dictionary.bleu + 1);
  });
});
