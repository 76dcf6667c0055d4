// Translates lines of text: tokenises, splits what is too long at sentence ends, and puts the parts together again. The search
// is translator.ts.
import { XMoEError } from '@xmoe/core';
import { normaliseText, type BytePairTokenizer, type LanguagePair, type TranslationTokens } from '@xmoe/train';
import type { DecodingOptions, Translator } from './translator.js';

export interface TextTranslation {
  text: string;
  /** log p / length^α; of a split line the sum of its parts. */
  score: number;
  /** False when a part reached the maximum length. */
  complete: boolean;
}

export interface LineTranslatorOptions {
  translator: Translator;
  tokenizer: BytePairTokenizer;
  tokens: TranslationTokens;
  languages: LanguagePair;
  /** Most tokens of a source, the end of sentence included: what the model was trained for. */
  longestSource: number;
}

export interface LineTranslator {
  /**
   * The translations of each line, best first; none for a line without text. A line that is too long is split at sentence
   * ends and has one translation.
   * @param firstLine 1-based number of the first line, for errors and sampling
   * @throws XMoEError `data` naming a line with a sentence that is too long
   */
  translate(lines: readonly string[], firstLine: number, options: DecodingOptions): Promise<TextTranslation[][]>;
}

export function createLineTranslator({ translator, tokenizer, tokens, languages, longestSource }: LineTranslatorOptions): LineTranslator {
  const encode = (text: string): Int32Array => Int32Array.from([...tokenizer.encode(text), tokens.endOfSentence]);
  const sentences = new Intl.Segmenter(languages.source, { granularity: 'sentence' });
  const joint = /^(zh|ja|th|lo|km|my)\b/i.test(languages.target) ? '' : ' ';

  /** The line in parts that the model takes; one part nearly always. */
  const partsOf = (line: string, number: number): Int32Array[] => {
    const text = normaliseText(line);
    if (text === '') return [];
    const whole = encode(text);
    if (whole.length <= longestSource) return [whole];
    const parts: string[] = [];
    for (const { segment } of sentences.segment(text)) {
      const longer = parts.length > 0 ? parts.at(-1)! + segment : segment;
      if (parts.length > 0 && encode(longer.trim()).length <= longestSource) parts[parts.length - 1] = longer;
      else parts.push(segment);
    }
    return parts.map((part) => {
      const ids = encode(part.trim());
      if (ids.length <= longestSource) return ids;
      throw new XMoEError('data', `line ${number} has a sentence of ${ids.length} tokens, and the model takes ${longestSource}`, {
        hint: 'break the sentence in two, or train with a larger data.maximumTokens',
      });
    });
  };

  return {
    async translate(lines, firstLine, options) {
      const parts = lines.map((line, index) => partsOf(line, firstLine + index));
      const found = await translator.translate(parts.flat(), { ...options, first: firstLine });
      if (options.stopped?.()) return [];
      let next = 0;
      return parts.map(({ length }): TextTranslation[] => {
        const own = found.slice(next, (next += length));
        const texts = own.map((hypotheses) => hypotheses.map((hypothesis) => ({ ...hypothesis, text: decode(tokenizer, hypothesis.tokens) })));
        if (length < 2) return (texts[0] ?? []).map(({ text, score, complete }) => ({ text, score, complete }));
        const best = texts.map(([first]) => first!);
        return [{
          text: best.map(({ text }) => text).filter((text) => text !== '').join(joint),
          score: best.reduce((sum, { score }) => sum + score, 0),
          complete: best.every(({ complete }) => complete),
        }];
      });
    },
  };
}

/** The text of a hypothesis, on one line. */
export function decode(tokenizer: BytePairTokenizer, tokens: readonly number[]): string {
  return normaliseText(tokenizer.decode(tokens));
}
