// Lines to translations around a translator that upper-cases: splitting at sentence ends, empty lines, what is refused.
import { BEGIN_OF_SENTENCE, PADDING, trainBpe, translationTokensOf } from '@xmoe/train';
import { describe, expect, it } from 'vitest';
import { createLineTranslator } from '../src/translate-text.js';
import type { DecodingOptions, Translator } from '../src/translator.js';

const tokenizer = trainBpe(['aa bb cc. dd ee ff!'], { vocabularySize: 259, specialTokens: [PADDING, BEGIN_OF_SENTENCE] }); // bytes
const tokens = translationTokensOf(tokenizer);
const options: DecodingOptions = { beam: 1, lengthPenalty: 1, maxLengthRatio: 2, maxLengthExtra: 10 };

/** Answers with the source in capitals, twice with --n-best 2; remembers what it was given. */
function recorder() {
  const seen: { texts: string[]; first: number | undefined }[] = [];
  const translator: Translator = {
    async translate(sources, { nBest = 1, first }) {
      const texts = sources.map((source) => {
        expect(source.at(-1)).toBe(tokens.endOfSentence);
        return tokenizer.decode(source.subarray(0, -1));
      });
      seen.push({ texts, first });
      return texts.map((text) => Array.from({ length: nBest }, (_, rank) => ({
        tokens: Array.from(tokenizer.encode(rank === 0 ? text.toUpperCase() : `${text}\n ${rank}`)), logProbability: -text.length, score: -text.length - rank, complete: !text.includes('x'),
      })));
    },
  };
  const lines = (target: string, longestSource = 20) => createLineTranslator({ translator, tokenizer, tokens, languages: { source: 'de', target }, longestSource });
  return { seen, lines };
}
const bestOf = async (target: string, input: string[], longest?: number): Promise<(string | undefined)[]> =>
  (await recorder().lines(target, longest).translate(input, 1, options)).map(([best]) => best?.text);

describe('createLineTranslator', () => {
  it('translates all lines at once, in their order, and none without text', async () => {
    const { seen, lines } = recorder();
    const found = await lines('en').translate(['eins', '', ' \t ', '  zwei   drei\u200b '], 7, options);
    expect(found.map((all) => all.map(({ text }) => text))).toEqual([['EINS'], [], [], ['ZWEI DREI']]);
    expect(seen).toEqual([{ texts: ['eins', 'zwei drei'], first: 7 }]);
  });

  it('splits a line that is too long at sentence ends, as few parts as fit, and joins their translations', async () => {
    const { seen, lines } = recorder();
    const [[joined]] = await lines('en').translate(['Aa bb. Cc dd! Ee ff gg? Hh x.'], 1, { ...options, nBest: 2 });
    expect(seen[0]!.texts).toEqual(['Aa bb. Cc dd!', 'Ee ff gg? Hh x.']); // 13 and 15 bytes and an end: 20 hold no third
    expect(joined).toEqual({ text: 'AA BB. CC DD! EE FF GG? HH X.', score: -28, complete: false });
  });

  it('joins without a space where the target has none', async () => {
    expect(await bestOf('zh', ['Aa bb cc dd. Ee ff gg hh.'], 14)).toEqual(['AA BB CC DD.EE FF GG HH.']);
  });

  it('refuses a sentence that is too long, by the number of its line, and translates nothing', async () => {
    const { seen, lines } = recorder();
    await expect(lines('en').translate(['kurz', 'Ja. Dieser Satz ist wirklich zu lang. Nein.'], 41, options)).rejects.toThrow('line 42 has a sentence of 34 tokens, and the model takes 20');
    expect(seen).toEqual([]);
  });

  it('gives all translations of a whole line, on one line each', async () => {
    const [all] = await recorder().lines('en').translate(['eins'], 1, { ...options, nBest: 2 });
    expect(all).toEqual([{ text: 'EINS', score: -4, complete: true }, { text: 'eins 1', score: -5, complete: true }]);
  });
});
