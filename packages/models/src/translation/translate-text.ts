// Lines of text to translations, the one way there is: tokenises, splits what is too long at sentence ends, and puts the parts
// together again. `translate`, `eval`, validation and the scores of a run all go through here. The search is translator.ts.
import { isXMoEError, XMoEError } from '@xmoe/core';
import type { Hypothesis } from '@xmoe/nn';
import { normaliseText, type BytePairTokenizer, type LanguagePair } from '@xmoe/text';
import type { TranslationTokens } from '@xmoe/text';
import type { DecodingOptions, SourceLimits, Translator } from './translator.js';

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
  limits: SourceLimits;
}

/** A line in the parts that the model takes: one nearly always, none without text. */
export interface SourceLine {
  readonly number: number;
  /** Token ids, each ended by the end of sentence. */
  readonly parts: readonly Int32Array[];
}

export interface ReadLines {
  /** All lines, or those before the first that is refused. */
  lines: SourceLine[];
  /** Code `data`, naming the line with a sentence that is too long. */
  refused: XMoEError | null;
}

export interface LineTranslator {
  /**
   * Lines as the model takes them. A line that is too long is split at sentence ends.
   * @param firstLine 1-based number of the first line, for errors and sampling
   * @param nameOf what an error calls the line at an index. Default: by its number
   */
  read(lines: readonly string[], firstLine: number, nameOf?: (index: number) => string): ReadLines;
  /** The translations of each line, best first; none for a line without text, one for a line that was split. Empty when it was stopped. */
  translate(lines: readonly SourceLine[], options: Omit<DecodingOptions, 'numbers'>): Promise<TextTranslation[][]>;
}

export function createLineTranslator({ translator, tokenizer, tokens, languages, limits }: LineTranslatorOptions): LineTranslator {
  const encode = (text: string): Int32Array => Int32Array.from([...tokenizer.encode(text), tokens.endOfSentence]);
  const sentences = new Intl.Segmenter(languages.source, { granularity: 'sentence' });
  const joint = /^(zh|ja|th|lo|km|my)\b/i.test(languages.target) ? '' : ' ';

  const partsOf = (line: string, name: () => string): Int32Array[] => {
    const text = normaliseText(line);
    if (text === '') return [];
    const whole = encode(text);
    if (whole.length <= limits.part) return [whole];
    const parts: string[] = [];
    for (const { segment } of sentences.segment(text)) {
      const longer = parts.length > 0 ? parts.at(-1)! + segment : segment;
      if (parts.length > 0 && encode(longer.trim()).length <= limits.part) parts[parts.length - 1] = longer;
      else parts.push(segment);
    }
    return parts.map((part) => {
      const ids = encode(part.trim());
      if (ids.length <= limits.sentence) return ids;
      throw new XMoEError('data', `${name()} has a sentence of ${ids.length} tokens, and the model takes ${limits.sentence}`, {
        hint: 'break the sentence in two, or train with a larger data.maximumTokens',
      });
    });
  };

  /** The translations of a line, from the hypotheses of its parts. */
  const joined = (parts: readonly (readonly Hypothesis[])[]): TextTranslation[] => {
    const texts = parts.map((hypotheses) => hypotheses.map(({ tokens: ids, score, complete }): TextTranslation => ({ text: decode(tokenizer, ids), score, complete })));
    if (parts.length < 2) return texts[0] ?? [];
    const best = texts.map(([first]) => first!);
    return [{
      text: best.map(({ text }) => text).filter((text) => text !== '').join(joint),
      score: best.reduce((sum, { score }) => sum + score, 0),
      complete: best.every(({ complete }) => complete),
    }];
  };

  return {
    read(lines, firstLine, nameOf = (index) => `line ${firstLine + index}`) {
      const read: SourceLine[] = [];
      for (const [index, line] of lines.entries()) {
        try {
          read.push({ number: firstLine + index, parts: partsOf(line, () => nameOf(index)) });
        } catch (error) {
          if (isXMoEError(error)) return { lines: read, refused: error };
          throw error;
        }
      }
      return { lines: read, refused: null };
    },
    async translate(lines, options) {
      const numbers = lines.flatMap(({ number, parts }) => parts.map((_, part) => [number, part] as const));
      const found = await translator.translate(lines.flatMap(({ parts }) => parts), { ...options, numbers });
      if (found.length < numbers.length) return [];
      let next = 0;
      return lines.map(({ parts: { length } }) => joined(found.slice(next, (next += length))));
    },
  };
}

/**
 * The best translation of each text, '' of one without words; null when it was stopped. Nothing is translated unless all can be.
 * @param nameOf what an error calls the text at an index
 * @throws XMoEError `data` naming the text with a sentence that is too long
 */
export async function translateTexts(lines: LineTranslator, texts: readonly string[], options: DecodingOptions, nameOf?: (index: number) => string): Promise<string[] | null> {
  const { lines: read, refused } = lines.read(texts, 1, nameOf);
  if (refused) throw refused;
  const translated = await lines.translate(read, options);
  return translated.length < read.length ? null : translated.map(([best]) => best?.text ?? '');
}

/** The text of a hypothesis, on one line. */
export function decode(tokenizer: BytePairTokenizer, tokens: readonly number[]): string {
  return normaliseText(tokenizer.decode(tokens));
}
