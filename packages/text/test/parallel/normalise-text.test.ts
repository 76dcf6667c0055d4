// Normalising and comparing texts: lines longer than an engine's stack of places, and ordinary ones to the same result.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchKey, normaliseText } from '../../src/parallel/normalise-text.js';

const part = fc.constantFrom(' ', '  ', 'a', 'B', '0', '12', '²', 'é', '’', '\n', '\u00a0', '.', '\x7f', '😀', '\u3000');
const texts = fc.array(part, { maxLength: 30 }).map((parts) => parts.join(''));

describe('texts of any length', () => {
  it('are normalised to single spaces and nothing at the ends', () => {
    fc.assert(fc.property(texts, (text) => {
      expect(normaliseText(text)).toBe(text.normalize('NFC').replace(/[\p{Cc}\p{White_Space}]+/gu, ' ').replace(/^ | $/g, ''));
    }));
  });

  it('are compared by letters, numbers as 0', () => {
    fc.assert(fc.property(texts, (text) => {
      const key = text.normalize('NFKC').toLowerCase().replace(/\p{N}+/gu, '0').replace(/[^\p{L}\p{M}0]+/gu, ' ').trim();
      expect(matchKey(text)).toBe(key === '' ? text : key);
    }));
  });

  it('may be one run of five million characters', () => {
    const length = 5_000_000;
    expect(normaliseText('word.'.repeat(length))).toHaveLength(5 * length);
    for (const character of ['1', '!', 'é', '\u00a0', '²']) {
      const text = `x${character.repeat(length)}’y`;
      expect(normaliseText(text).length).toBe(/\s/.test(character) ? 4 : length + 3);
      expect(matchKey(text).length).toBe(/[aé]/.test(character) ? length + 3 : /[1²]/.test(character) ? 4 : 3);
    }
  });
});
