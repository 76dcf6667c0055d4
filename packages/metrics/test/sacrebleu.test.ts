// BLEU and chrF are those of sacreBLEU 2.6: scores, counts, precisions, words, signatures and printed lines, for eight
// languages and for edge cases.
import { describe, expect, it } from 'vitest';
import { corpusBleu, corpusChrf, formatBleu, sentenceBleu, sentenceChrf, tokenizerOf } from '../src/index.js';
import { trimEnd } from '../src/white-space.js';
import { bleuOptions, chrfOptions, scoreFixtures } from './fixtures.js';

const labelled = scoreFixtures.map((fixture) => [fixture.name, fixture] as const);

describe('BLEU', () => {
  it.each(labelled)('%s', (_, { hypotheses, references, bleu }) => {
    for (const expected of bleu) {
      const label = expected.signature;
      const score = corpusBleu(hypotheses, references, bleuOptions(expected.settings));
      expect(score.score, label).toBeCloseTo(expected.score, 8);
      expect(score.counts, label).toEqual(expected.counts);
      expect(score.totals, label).toEqual(expected.totals);
      score.precisions.forEach((precision, n) => expect(precision, label).toBeCloseTo(expected.precisions[n], 8));
      expect(score.brevityPenalty, label).toBeCloseTo(expected.bp, 10);
      expect([score.hypothesisLength, score.referenceLength], label).toEqual([expected.hypothesisLength, expected.referenceLength]);
      expect(score.signature).toBe(expected.signature);
      expect(formatBleu(score), label).toBe(expected.text);
    }
  });

  it('words are those of each tokenizer', () => {
    let compared = 0;
    for (const { hypotheses, bleu } of scoreFixtures) {
      for (const { settings, tokens } of bleu) {
        if (tokens === null || settings.lowercase) continue;
        hypotheses.forEach((line, i) => expect(tokenizerOf(settings.tokenize ?? '13a')(trimEnd(line)), line).toEqual(tokens[i]));
        compared += tokens.length;
      }
    }
    expect(compared).toBeGreaterThan(500);
  });

  it('of a sentence uses the effective order', () => {
    const { hypotheses, references, bleu } = scoreFixtures.find(({ name }) => name === 'two words')!;
    const expected = bleu.find(({ settings }) => settings.effective_order && !settings.tokenize)!;
    const score = sentenceBleu(hypotheses[0], references[0][0]!);
    expect(score.score).toBeCloseTo(expected.score, 8);
    expect(score.score).toBeCloseTo(100, 8);
    expect(score.signature).toBe(expected.signature);
    expect(sentenceBleu('the cat', ['a dog', 'the cat']).score).toBeCloseTo(100, 8);
  });
});

describe('chrF', () => {
  it.each(labelled)('%s', (_, { hypotheses, references, chrf }) => {
    for (const expected of chrf) {
      const score = corpusChrf(hypotheses, references, chrfOptions(expected.settings));
      expect(score.score, expected.signature).toBeCloseTo(expected.score, 8);
      expect(score.name).toBe(expected.name);
      expect(score.signature).toBe(expected.signature);
    }
  });

  it('of a sentence takes the better reference', () => {
    const near = sentenceChrf('the cat sat', 'the cat sits', { wordOrder: 2 }).score;
    expect(sentenceChrf('the cat sat', ['a dog barks', 'the cat sits'], { wordOrder: 2 }).score).toBe(near);
  });
});
