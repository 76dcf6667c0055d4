// Lines to translations around a translator that upper-cases: splitting at sentence ends, empty lines, what is refused.
import { createLineTranslator, type DecodingOptions, type TextTranslation, translateTexts, type Translator } from '@xmoe/models';
import { BEGIN_OF_SENTENCE, PADDING, translationTokensOf } from '@xmoe/text';
import { trainBpe } from '@xmoe/text';
import { describe, expect, it } from 'vitest';

const tokenizer = trainBpe(['aa bb cc. dd ee ff!'], { vocabularySize: 259, specialTokens: [PADDING, BEGIN_OF_SENTENCE] }); // bytes
const tokens = translationTokensOf(tokenizer);
const options: DecodingOptions = { beam: 1, lengthPenalty: 1, maxLengthRatio: 2, maxLengthExtra: 10 };

/** Answers with the source in capitals, twice with --n-best 2; remembers what it was given. */
function recorder() {
  const seen: { texts: string[]; numbers: DecodingOptions['numbers'] }[] = [];
  const translator: Translator = {
    async translate(sources, { nBest = 1, numbers }) {
      const texts = sources.map((source) => {
        expect(source.at(-1)).toBe(tokens.endOfSentence);
        return tokenizer.decode(source.subarray(0, -1));
      });
      seen.push({ texts, numbers });
      return texts.map((text) => Array.from({ length: nBest }, (_, rank) => ({
        tokens: Array.from(tokenizer.encode(rank === 0 ? text.toUpperCase() : `${text}\n ${rank}`)), logProbability: -text.length, score: -text.length - rank, complete: !text.includes('x'),
      })));
    },
  };
  const lines = (target: string, part = 20, sentence = part) => createLineTranslator({ translator, tokenizer, tokens, languages: { source: 'de', target }, limits: { part, sentence } });
  return { seen, lines };
}
const bestOf = (target: string, input: string[], longest?: number): Promise<string[] | null> => translateTexts(recorder().lines(target, longest), input, options);
/** Reads and translates lines that are all accepted. */
function translated(lines: ReturnType<ReturnType<typeof recorder>['lines']>, input: string[], first = 1, more: Partial<DecodingOptions> = {}): Promise<TextTranslation[][]> {
  const { lines: read, refused } = lines.read(input, first);
  expect(refused).toBe(null);
  return lines.translate(read, { ...options, ...more });
}

describe('createLineTranslator', () => {
  it('translates all lines at once, in their order, and none without text', async () => {
    const { seen, lines } = recorder();
    const found = await translated(lines('en'), ['eins', '', ' \t ', '  zwei   drei\u200b '], 7);
    expect(found.map((all) => all.map(({ text }) => text))).toEqual([['EINS'], [], [], ['ZWEI DREI']]);
    expect(seen).toEqual([{ texts: ['eins', 'zwei drei'], numbers: [[7, 0], [10, 0]] }]);
  });

  it('splits a line that is too long at sentence ends, as few parts as fit, and joins their translations', async () => {
    const { seen, lines } = recorder();
    const [[joined]] = await translated(lines('en'), ['Aa bb. Cc dd! Ee ff gg? Hh x.'], 1, { nBest: 2 });
    expect(seen[0]!.texts).toEqual(['Aa bb. Cc dd!', 'Ee ff gg? Hh x.']); // 13 and 15 bytes and an end: 20 hold no third
    expect(seen[0]!.numbers).toEqual([[1, 0], [1, 1]]);
    expect(joined).toEqual({ text: 'AA BB. CC DD! EE FF GG? HH X.', score: -28, complete: false });
  });

  it('joins without a space where the target has none', async () => {
    expect(await bestOf('zh', ['Aa bb cc dd. Ee ff gg hh.'], 14)).toEqual(['AA BB CC DD.EE FF GG HH.']);
  });

  it('takes a sentence that is longer than a part may be, up to its own limit', async () => {
    const { seen, lines } = recorder();
    await translated(lines('en', 20, 40), ['Ja. Dieser Satz ist wirklich zu lang. Nein.']);
    expect(seen[0]!.texts).toEqual(['Ja.', 'Dieser Satz ist wirklich zu lang.', 'Nein.']);
  });

  it('refuses a sentence that is too long by the number of its line, and keeps the lines before it', async () => {
    const { seen, lines } = recorder();
    const input = ['kurz', '', 'Ja. Dieser Satz ist wirklich zu lang. Nein.', 'gut'];
    const { lines: read, refused } = lines('en').read(input, 41);
    expect(refused).toMatchObject({ code: 'data', message: 'line 43 has a sentence of 34 tokens, and the model takes 20' });
    expect((await lines('en').translate(read, options)).map((all) => all.map(({ text }) => text))).toEqual([['KURZ'], []]);
    seen.length = 0;
    await expect(translateTexts(lines('en'), input, options, (index) => `a.tsv:${index}`)).rejects.toThrow('a.tsv:2 has a sentence of 34 tokens');
    expect(seen).toEqual([]); // all or nothing, where all are scored
  });

  it('gives all translations of a whole line, on one line each', async () => {
    const [all] = await translated(recorder().lines('en'), ['eins'], 1, { nBest: 2 });
    expect(all).toEqual([{ text: 'EINS', score: -4, complete: true }, { text: 'eins 1', score: -5, complete: true }]);
  });
});
