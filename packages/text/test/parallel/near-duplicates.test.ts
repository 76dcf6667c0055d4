// The index finds exactly what comparing every two finds, and tells equal from near.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createNearDuplicateIndex } from '../../src/parallel/near-duplicates.js';
import { matchKey } from '../../src/parallel/normalise-text.js';

/** Jaccard similarity of character 4-grams (2-grams for mostly dense text), the plain way. */
function similarity(a: string, b: string): number {
  const grams = (text: string) => {
    const key = matchKey(text);
    const dense = (key.match(/[\p{Script=Han}]/gu)?.length ?? 0) * 2 > key.length;
    const size = dense ? 2 : 4;
    const count = Math.max(1, key.length - size + 1);
    return new Set(Array.from({ length: count }, (_, i) => `${size} ${key.slice(i, i + size)}`));
  };
  const [left, right] = [grams(a), grams(b)];
  const common = [...left].filter((gram) => right.has(gram)).length;
  return common / (left.size + right.size - common);
}

const letters = fc.constantFrom(...'abc d');
const text = fc.string({ unit: letters, minLength: 1, maxLength: 24 });

describe('near-duplicates', () => {
  it.each([0.3, 0.5, 0.7, 0.9, 1])('are those of the plain comparison at %f', (threshold) => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 25 }), fc.array(text, { minLength: 1, maxLength: 10 }), fc.boolean(), (added, queries, hinted) => {
        const index = createNearDuplicateIndex(threshold, hinted ? added : []);
        added.forEach((item) => index.add(item));
        for (const query of [...queries, ...added]) {
          const equal = added.some((item) => matchKey(item) === matchKey(query));
          const near = threshold < 1 && added.some((item) => similarity(item, query) >= threshold - 1e-9);
          expect(index.find(query), query).toBe(equal ? 'equal' : near ? 'near' : undefined);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('of real sentences', () => {
    const index = createNearDuplicateIndex(0.7);
    for (const sentence of ['The file could not be opened because it does not exist.', '无法打开文件,因为该文件不存在。', 'Ja.']) index.add(sentence);
    expect(index.size).toBe(3);
    expect(index.find('the FILE could not be opened, because it does not exist')).toBe('equal');
    expect(index.find('The files could not be opened because they do not exist.')).toBe(undefined);
    expect(index.find('The file could not be opened because it did not exist.')).toBe('near');
    expect(index.find('无法打开该文件,因为文件不存在。')).toBe('near');
    expect(index.find('无法关闭窗口,因为它不存在。')).toBe(undefined);
    expect(index.find('ja')).toBe('equal');
    expect(index.find('Jaja')).toBe(undefined);
  });
});
