// Translates token ids to token ids: batches of similar lengths, beam search or sampling, results in the order of the sources.
// Always with a model that drops no claims, so a sentence's result does not depend on its batch. Text is translate-text.ts.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { foldIn, randomKey, type Engine, type FloatDType, type Parameters } from '@xmoe/core';
import { beamSearch, maximumLengths, sampleSequences, type Hypothesis, type LengthRule, type TokenSampling } from '@xmoe/nn';
import type { TranslationTokens } from '@xmoe/train';
import { disposeBatch, uploadSources } from './device-batches.js';
import type { Config, DecodingConfig } from './config.js';
import type { XMoETranslator } from './model.js';

/** The threshold is the model's. */
export interface DecodingOptions extends Omit<DecodingConfig, 'threshold'> {
  /** Hypotheses of each source, best first. Default 1. */
  nBest?: number;
  /** Sample one hypothesis of each source instead of searching. */
  sampling?: TokenSampling & { seed: number };
  /** Number of the first source, so that each draws its own tokens. Default 0. */
  first?: number;
  /** Told between batches which share of the sources is done. */
  onProgress?: (share: number) => void;
  /** Asked between positions; true ends it with an empty result. */
  stopped?: () => boolean;
}

export interface Translator {
  /**
   * @param sources token ids, each ended by the end of sentence
   * @returns hypotheses of each source, in order; empty when it was stopped
   */
  translate(sources: readonly Int32Array[], options: DecodingOptions): Promise<Hypothesis[][]>;
}

export interface TranslatorOptions {
  engine: Engine;
  config: Config;
  /** Of the dropless configuration. */
  model: XMoETranslator;
  parameters: Parameters;
  tokens: TranslationTokens;
}

/** Places of a batch, hypotheses counted: more are not faster. */
const BATCH_PLACES = 8192;

class Stopped extends Error {}

export function createTranslator({ engine, config, model, parameters, tokens }: TranslatorOptions): Translator {
  const computeDType: FloatDType = config.train.precision;
  const limit = longestTarget(config);

  const translateBatch = async (sources: readonly Int32Array[], numbers: readonly number[], options: DecodingOptions): Promise<Hypothesis[][]> => {
    const source = uploadSources(engine, sources, tokens.padding);
    const rule: LengthRule = { ratio: options.maxLengthRatio, extra: options.maxLengthExtra, limit };
    const common = {
      startToken: tokens.beginOfSentence,
      endToken: tokens.endOfSentence,
      forbiddenTokens: [tokens.padding, tokens.beginOfSentence],
      maxLengths: maximumLengths(sources.map((ids) => ids.length), rule),
      computeDType,
      // A backend on the CPU never waits by itself: only a turn of the event loop lets signals in.
      onStep: async () => {
        await nextTurn();
        if (options.stopped?.()) throw new Stopped();
      },
    };
    try {
      if (!options.sampling) return await beamSearch({ engine, model, parameters }, source, { ...common, beam: options.beam, nBest: options.nBest ?? 1, lengthPenalty: options.lengthPenalty });
      const key = foldIn(randomKey(options.sampling.seed), 'translate');
      const keys = numbers.map((number) => foldIn(key, number));
      return (await sampleSequences({ engine, model, parameters }, source, { ...common, ...options.sampling, keys })).map((hypothesis) => [hypothesis]);
    } finally {
      disposeBatch(source.tokens, source.mask);
    }
  };

  return {
    async translate(sources, options) {
      const results = new Array<Hypothesis[]>(sources.length);
      let done = 0;
      try {
        for (const numbers of batchesByLength(sources.map((source) => source.length), Math.floor(BATCH_PLACES / (options.sampling ? 1 : options.beam)))) {
          const found = await translateBatch(numbers.map((number) => sources[number]!), numbers.map((number) => number + (options.first ?? 0)), options);
          numbers.forEach((number, row) => (results[number] = found[row]!));
          options.onProgress?.((done += numbers.length) / sources.length);
        }
      } catch (error) {
        if (error instanceof Stopped) return [];
        throw error;
      }
      return results;
    },
  };
}

/** The most target tokens that the positions of the model allow. */
export function longestTarget({ model }: Config): number {
  return model.positions === 'learned' ? model.contextLength - 1 : Infinity; // the begin of sentence takes one
}

/** The most source tokens that they allow. */
export function longestSource({ model }: Config): number {
  return model.positions === 'learned' ? model.contextLength : Infinity;
}

/** Numbers of the sources in batches of similar lengths, longest first, of at most `places` places each. */
function batchesByLength(lengths: readonly number[], places: number): number[][] {
  const order = lengths.map((_, number) => number).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const batches: number[][] = [];
  for (const number of order) {
    const batch = batches.at(-1);
    if (batch && (batch.length + 1) * lengths[batch[0]!]! <= places) batch.push(number);
    else batches.push([number]);
  }
  return batches;
}
