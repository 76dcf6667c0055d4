// Training against Hugging Face's trainer (fixtures), a plain recount oracle, determinism and limits.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { END_OF_TEXT } from '../../src/tokenizers/tokenizer.js';
import { tokenizerToJson } from '../../src/tokenizers/tokenizer-json.js';
import { trainBpe } from '../../src/tokenizers/train-bpe.js';
import { forEachPreToken } from '../../src/tokenizers/pre-tokens.js';
import { expected } from './expected.js';

/** The merges by counting every pair of every word anew for each merge: slow and obvious. */
function mergesByRecounting(texts: string[], wanted: number, first: number[]): number[][] {
  const words: number[][] = [];
  for (const text of texts) forEachPreToken(text, (piece) => words.push([...Buffer.from(piece)].map((byte) => first[byte])));
  const merges: number[][] = [];
  while (merges.length < wanted) {
    const counts = new Map<string, number>();
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]} ${word[i + 1]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    const ranked = [...counts].map(([pair, count]) => [count, ...pair.split(' ').map(Number)]);
    ranked.sort((a, b) => b[0] - a[0] || a[1] - b[1] || a[2] - b[2]);
    if (ranked.length === 0 || ranked[0][0] < 2) break;
    const [, left, right] = ranked[0];
    const merged = 256 + merges.length;
    merges.push([left, right, merged]);
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        if (word[i] === left && word[i + 1] === right) word.splice(i, 2, merged);
      }
    }
  }
  return merges;
}

describe('trainBpe', () => {
  it('learns the merges that Hugging Face tokenizers learns', () => {
    const tokenizer = trainBpe(expected.training, { vocabularySize: expected.trainedVocabularySize });
    const file = JSON.parse(tokenizerToJson(tokenizer)) as { model: { merges: string[] } };
    expect(file.model.merges).toEqual(expected.trainedMerges);
  });

  it('equals recounting from scratch', () => {
    const bytes = trainBpe(['x'], { vocabularySize: 257 });
    const first: number[] = [];
    for (let id = 0; id < 256; id++) first[bytes.tokenBytes(id)[0]] = id;
    const text = fc.array(fc.constantFrom('a', 'b', 'ab', ' ', ' a', 'aaa', 'é', '1'), { maxLength: 60 }).map((p) => p.join(''));
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), (texts) => {
        fc.pre(texts.join('') !== '');
        const { merges } = trainBpe(texts, { vocabularySize: 257 + 20 }).definition;
        const rows = Array.from({ length: merges.length / 3 }, (_, rank) => Array.from(merges.subarray(rank * 3, rank * 3 + 3)));
        // one merge at a time over pre-tokens that cannot span texts
        expect(rows).toEqual(mergesByRecounting(texts, 20, first));
      }),
    );
  });

  it('does not depend on the order of the texts', () => {
    const forward = trainBpe(expected.training, { vocabularySize: 380 });
    const backward = trainBpe([...expected.training].reverse(), { vocabularySize: 380 });
    expect(backward.hash).toBe(forward.hash);
  });

  it('makes plain bytes at 257', () => {
    const tokenizer = trainBpe(['text'], { vocabularySize: 257 });
    expect(tokenizer.vocabularySize).toBe(257);
    expect(tokenizer.endOfText).toBe(256);
    expect(tokenizer.encode('né')).toHaveLength(3);
  });

  it('stops when no pair is frequent enough', () => {
    expect(trainBpe(['abab'], { vocabularySize: 1000 }).vocabularySize).toBe(258);
    expect(trainBpe(['abab abab'], { vocabularySize: 1000, minFrequency: 9 }).vocabularySize).toBe(257);
  });

  it('puts special tokens last and reports progress', () => {
    const seen: number[] = [];
    const tokenizer = trainBpe(expected.training, {
      vocabularySize: 370,
      specialTokens: ['<pad>'],
      onProgress: (done, wanted) => seen.push(done, wanted),
    });
    expect(tokenizer.specialTokens).toEqual(new Map([[END_OF_TEXT, 368], ['<pad>', 369]]));
    expect(seen).toEqual([100, 112, 112, 112]);
  });

  it('refuses impossible sizes and empty corpora', () => {
    expect(() => trainBpe(['a'], { vocabularySize: 256 })).toThrow('trainBpe: vocabularySize is 256');
    expect(() => trainBpe(['a'], { vocabularySize: 300.5 })).toThrow('300.5');
    expect(() => trainBpe(['', ''], { vocabularySize: 300 })).toThrow('no text to train on (2 documents');
  });
});
