// Splits by document: a partition, the same in any order, close to the fractions, and never empty without need.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitDocuments } from '../../src/data/split-documents.js';
import { splitNames } from '../../src/data/splits.js';
import { toDocuments } from './temporary.js';

const fractions = { validation: 0.2, test: 0.1 };
const sorted = (texts: string[]) => [...texts].sort();
const textsOf = (splits: ReturnType<typeof splitDocuments>) =>
  Object.fromEntries(splitNames.map((name) => [name, sorted(splits[name].map(({ text }) => text))]));

describe('splitDocuments', () => {
  it('puts every document into exactly one split, whatever the order', () => {
    const texts = fc.array(fc.string({ minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(texts, fc.integer(), (list, salt) => {
        const forward = textsOf(splitDocuments(toDocuments(list), fractions, String(salt)));
        const backward = textsOf(splitDocuments(toDocuments([...list].reverse()), fractions, String(salt)));
        expect(backward).toEqual(forward);
        expect(sorted(Object.values(forward).flat())).toEqual(sorted(list));
        const sets = Object.values(forward).map((split) => new Set(split));
        expect(sets.reduce((sum, set) => sum + set.size, 0)).toBe(new Set(list).size); // equal texts together
        const filled = sets.filter((set) => set.size > 0).length;
        expect(filled).toBe(Math.min(3, new Set(list).size));
        expect(forward.train.length).toBeGreaterThan(0);
        if (filled === 2) expect(forward.test.length).toBeGreaterThan(0);
      }),
    );
  });

  it('fills an empty split alike when equal texts come far apart', () => {
    const texts = Array.from({ length: 8 }, (_, i) => `document ${i}`);
    for (let salt = 0; salt < 300; salt++) {
      const split = (list: string[]) => textsOf(splitDocuments(toDocuments(list), { validation: 0.3, test: 0.05 }, String(salt)));
      const [together, apart] = [split([...texts, ...texts].sort()), split([...texts, ...texts])];
      expect(apart).toEqual(together);
    }
  });

  it('keeps to the fractions', () => {
    const splits = splitDocuments(toDocuments(Array.from({ length: 5000 }, (_, i) => `document ${i}`)), fractions);
    expect(splits.validation.length / 5000).toBeCloseTo(0.2, 1);
    expect(splits.test.length / 5000).toBeCloseTo(0.1, 1);
  });

  it('does not move a document when others are added', () => {
    const few = Array.from({ length: 200 }, (_, i) => `document ${i}`);
    const many = [...few, ...Array.from({ length: 200 }, (_, i) => `another ${i}`)];
    const before = textsOf(splitDocuments(toDocuments(few), fractions));
    const after = textsOf(splitDocuments(toDocuments(many), fractions));
    for (const name of splitNames) expect(after[name]).toEqual(expect.arrayContaining(before[name]));
  });

  it('leaves a split empty on purpose, and follows the salt', () => {
    const documents = toDocuments(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
    const splits = splitDocuments(documents, { validation: 0, test: 0.3 });
    expect(splits.validation).toEqual([]);
    expect(splits.test.length).toBeGreaterThan(0);
    const variants = ['1', '2', '3', '4'].map((salt) => JSON.stringify(textsOf(splitDocuments(documents, fractions, salt))));
    expect(new Set(variants).size).toBeGreaterThan(1);
  });

  it.each([
    [{ validation: -0.1, test: 0 }, 'the validation fraction is -0.1'],
    [{ validation: 0, test: Number.NaN }, 'the test fraction is NaN'],
    [{ validation: 0.5, test: 0.5 }, 'the validation + test fraction is 1'],
  ])('refuses %j', (wrong, message) => {
    expect(() => splitDocuments([], wrong)).toThrow(message);
  });
});
