// Encoding against Hugging Face `tokenizers` (fixtures) and gpt-tokenizer, identity of decode ∘ encode, hashes.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { encode as packageEncode } from 'gpt-tokenizer/encoding/gpt2';
import { describe, expect, it } from 'vitest';
import { createGpt2Tokenizer } from '../../src/tokenizers/gpt2.js';
import { END_OF_TEXT } from '../../src/tokenizers/tokenizer.js';
import { tokenizerFromJson } from '../../src/tokenizers/tokenizer-json.js';
import { tokenTexts } from '../../src/tokenizers/token-texts.js';
import { trainBpe } from '../../src/tokenizers/train-bpe.js';
import { forEachPreToken } from '../../src/tokenizers/pre-tokens.js';
import { expected, fixture } from './expected.js';

const gpt2 = createGpt2Tokenizer();
const fromHuggingFace = tokenizerFromJson(readFileSync(fixture('hugging-face.tokenizer.json'), 'utf8'));
const trained = trainBpe(expected.training, { vocabularySize: 320 });
const bytesOnly = trainBpe(['any text'], { vocabularySize: 257 });
const tokenizers = { gpt2, fromHuggingFace, trained, bytesOnly };

describe('the texts of tokens', () => {
  it('have whole characters, each with its last token', () => {
    expect(tokenTexts(bytesOnly, bytesOnly.encode('aöx'))).toEqual(['a', '', 'ö', 'x']);
    expect(tokenTexts(bytesOnly, bytesOnly.encode('打😀'))).toEqual(['', '', '打', '', '', '', '😀']);
    expect(tokenTexts(bytesOnly, bytesOnly.encode('打').subarray(0, 2))).toEqual(['', '\uFFFD']);
    expect(tokenTexts(gpt2, [])).toEqual([]);
  });

  it('are the text when joined', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
      for (const tokenizer of [gpt2, trained, bytesOnly]) expect(tokenTexts(tokenizer, tokenizer.encode(text)).join('')).toBe(text);
    }));
  });
});

describe('ids', () => {
  it.each(expected.texts.map((text, index) => [JSON.stringify(text).slice(0, 40), index] as const))(
    'equal Hugging Face tokenizers on %s',
    (_, index) => {
      expect([...fromHuggingFace.encode(expected.texts[index])]).toEqual(expected.huggingFaceIds[index]);
      expect([...gpt2.encode(expected.texts[index])]).toEqual(expected.gpt2Ids[index]);
    },
  );

  it('come from the same pre-tokens as those of Hugging Face tokenizers', () => {
    const pieces = expected.texts.map((text) => {
      const found: string[] = [];
      forEachPreToken(text, (piece) => found.push(piece));
      return found;
    });
    expect(pieces).toEqual(expected.preTokens);
  });

  it('equal gpt-tokenizer on English prose', () => {
    const prose = readFileSync(new URL('../../../../LICENSE', import.meta.url), 'utf8').repeat(3);
    expect([...gpt2.encode(prose)]).toEqual(packageEncode(prose));
  });

  it('of special tokens appear only when asked for', () => {
    const { text, gpt2Ids, huggingFaceIds } = expected.marked;
    expect([...gpt2.encode(text, { allowSpecial: true })]).toEqual(gpt2Ids);
    expect([...fromHuggingFace.encode(text, { allowSpecial: true })]).toEqual(huggingFaceIds);
    for (const tokenizer of Object.values(tokenizers)) {
      const plain = tokenizer.encode(text);
      expect(plain).not.toContain(tokenizer.endOfText);
      expect(tokenizer.decode(plain)).toBe(text);
      expect(tokenizer.decode(tokenizer.encode(text, { allowSpecial: true }))).toBe(text);
    }
  });

  it('do not depend on what was encoded before', () => {
    const fresh = createGpt2Tokenizer();
    for (const text of expected.texts) gpt2.encode(text);
    expect(gpt2.encode(expected.texts[0])).toEqual(fresh.encode(expected.texts[0]));
  });

  it('come in reasonable time for a long run without spaces', () => {
    const run = 'aZq'.repeat(100_000); // quadratic merging would take minutes, beyond the test limit
    expect(gpt2.decode(gpt2.encode(run))).toBe(run);
  });
});

describe.each(Object.entries(tokenizers))('%s', (_, tokenizer) => {
  it('gives back any well-formed text', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
      fc.array(fc.constantFrom(' ', '\n', "'s", '\uFEFF', '\u0085', 'é', '日', '👩‍👧', END_OF_TEXT, 'The', '12')).map((parts) => parts.join('')),
    );
    fc.assert(fc.property(text, (value) => tokenizer.decode(tokenizer.encode(value)) === value), { numRuns: 400 });
  });

  it('stands for exactly the bytes of the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const bytes = Array.from(tokenizer.encode(value), (token) => [...tokenizer.tokenBytes(token)]).flat();
        expect(bytes).toEqual([...new TextEncoder().encode(value)]);
      }),
    );
  });

  it('has ids 0 … vocabularySize − 1 and refuses others by name', () => {
    expect(tokenizer.tokenBytes(tokenizer.vocabularySize - 1).length).toBeGreaterThan(0);
    expect(tokenizer.decode([tokenizer.endOfText])).toBe(END_OF_TEXT);
    expect(() => tokenizer.decode([tokenizer.vocabularySize])).toThrow(`token ${tokenizer.vocabularySize} is outside`);
    expect(() => tokenizer.tokenBytes(-1)).toThrow('token -1 is outside');
  });
});

describe('decode', () => {
  it('keeps nothing from one call to the next', () => {
    const [first] = gpt2.encode('日本');
    expect(gpt2.decode([first])).toBe('\uFFFD');
    expect(gpt2.decode(gpt2.encode('plain'))).toBe('plain');
  });
});

describe('gpt2', () => {
  it('has the published size and end of text', () => {
    expect(gpt2.vocabularySize).toBe(50_257);
    expect(gpt2.endOfText).toBe(50_256);
    expect(gpt2.kind).toBe('gpt2');
  });
});

describe('hash', () => {
  it('is equal for equal definitions and differs otherwise', () => {
    expect(trainBpe(expected.training, { vocabularySize: 320 }).hash).toBe(trained.hash);
    const hashes = Object.values(tokenizers).map((tokenizer) => tokenizer.hash);
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(trained.hash).toMatch(/^[0-9a-f]{64}$/);
  });
});
