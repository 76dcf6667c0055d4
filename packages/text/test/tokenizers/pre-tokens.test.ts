// The scanner cuts where GPT-2's regular expression cuts, and takes runs that no engine's stack holds.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createGpt2Tokenizer } from '../../src/tokenizers/gpt2.js';
import { trainBpe } from '../../src/tokenizers/train-bpe.js';
import { forEachPreToken } from '../../src/tokenizers/pre-tokens.js';

const PRE_TOKEN =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

const cut = (text: string): string[] => {
  const pieces: string[] = [];
  forEachPreToken(text, (piece) => pieces.push(piece));
  return pieces;
};

describe('forEachPreToken', () => {
  it('equals the regular expression on texts of few characters, where every rule meets every other', () => {
    const character = fc.constantFrom(...' \n\t\u00a0\u0085\ufeff\u3000', "'", 's', 't', 're', 'll', 'S', 'd', '1', '²', '.', 'é', 'Ж', '中', '😀', '𝒳', '\ud83d', '\udc00', '\u0301');
    fc.assert(
      fc.property(fc.array(character, { maxLength: 24 }).map((parts) => parts.join('')), (text) => {
        expect(cut(text)).toEqual(text.match(PRE_TOKEN) ?? []);
      }),
      { numRuns: 3000 },
    );
  });

  it('equals it on every code point of the first two planes, alone and between others', () => {
    for (let begin = 0; begin < 0x20000; begin += 0x400) {
      let text = '';
      for (let point = begin; point < begin + 0x400; point++) text += `${String.fromCodePoint(point)}a ${String.fromCodePoint(point)}`;
      expect(cut(text)).toEqual(text.match(PRE_TOKEN));
    }
  });

  it('takes one run of five million characters, of each kind', () => {
    for (const character of ['7', '!', ' ', 'é', '𝒳']) {
      const run = character.repeat(5_000_000);
      expect(cut(`’${run}`).map(({ length }) => length)).toEqual(character === '!' ? [run.length + 1] : [1, run.length]);
    }
  });
});

describe('a text that is one run', () => {
  const run = 'ab'.repeat(400_000) + '’';

  it('is tokenised to the end', () => {
    const tokenizer = createGpt2Tokenizer();
    const ids = tokenizer.encode(run);
    expect(tokenizer.decode(ids.subarray(-1000))).toBe(run.slice(-tokenizer.decode(ids.subarray(-1000)).length));
    expect(ids.reduce((bytes, id) => bytes + tokenizer.tokenBytes(id).length, 0)).toBe(Buffer.byteLength(run));
  });

  it('is learned from', () => {
    expect(trainBpe([run], { vocabularySize: 264 }).encode('abababab')).toHaveLength(1);
  });
});
