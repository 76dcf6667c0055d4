// Translates token ids to token ids: batches of similar lengths, beam search or sampling, results in the order of the sources.
// Always with a model that drops no claims, so a sentence's result does not depend on its batch. Text is translate-text.ts.
import { foldIn, randomKey, type Engine, type FloatDType, type Parameters } from '@xmoe/core';
import { beamSearch, maximumLengths, sampleSequences, type Hypothesis, type LengthRule, type TokenSampling } from '@xmoe/nn';
import type { TranslationTokens } from '@xmoe/text';
import { nextTurn } from '../next-turn.js';
import { disposeBatch, uploadSources } from './device-batches.js';
import type { DecodingConfig, TranslationConfig } from './translation-config.js';
import type { XMoETranslator } from './translation-model.js';

/** The threshold is the model's. */
export interface DecodingOptions extends Omit<DecodingConfig, 'threshold'> {
  /** Hypotheses of each source, at most as many as the beam: best first, samples in the order drawn. Default 1. */
  nBest?: number;
  /** Sample the hypotheses instead of searching for them. */
  sampling?: TokenSampling & { seed: number };
  /** Line and part of each source: what a sample draws depends on these and the seed alone. Default: its place, part 0. */
  numbers?: readonly (readonly [line: number, part: number])[];
  /** Told between batches which share of the sources is done. */
  onProgress?: (share: number) => void;
  /** Asked between positions; true ends it with an empty result. */
  stopped?: () => boolean;
  /** Does the work of each batch, e.g. each on one of several ranks, and gives what came of it in their order. Default: here, one after another. */
  share?: ShareBatches;
}

export type ShareBatches = <Batch, Result>(batches: readonly Batch[], work: (batch: Batch) => Promise<Result>) => Promise<Result[]>;

export interface Translator {
  /**
   * @param sources token ids, each ended by the end of sentence
   * @returns hypotheses of each source, in order; empty when it was stopped
   */
  translate(sources: readonly Int32Array[], options: DecodingOptions): Promise<Hypothesis[][]>;
}

export interface TranslatorOptions {
  engine: Engine;
  config: TranslationConfig;
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

  const translateBatch = async ({ rows }: Batch, options: DecodingOptions): Promise<Hypothesis[][]> => {
    const sources = rows.map(({ ids }) => ids);
    const source = uploadSources(engine, sources, tokens.padding, model.config.vocabularySize);
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
      const keys = rows.map(({ line, part, draw }) => foldIn(foldIn(foldIn(key, line), part), draw));
      return (await sampleSequences({ engine, model, parameters }, source, { ...common, ...options.sampling, keys })).map((hypothesis) => [hypothesis]);
    } finally {
      disposeBatch(source.tokens, source.mask);
    }
  };

  return {
    async translate(sources, options) {
      const results = sources.map((): Hypothesis[] => []);
      const rows = rowsOf(sources, options);
      const batches = batchesByLength(rows, Math.floor(BATCH_PLACES / (options.sampling ? 1 : options.beam)));
      const found = await (options.share ?? inTurn)(batches, async (batch) => {
        try {
          const hypotheses = await translateBatch(batch, options);
          options.onProgress?.((batch.before + batch.rows.length) / rows.length);
          return hypotheses;
        } catch (error) {
          if (error instanceof Stopped) return null; // what others share has to be told, too
          throw error;
        }
      });
      if (found.length < batches.length || found.includes(null)) return [];
      batches.forEach((batch, at) => batch.rows.forEach(({ index }, row) => results[index]!.push(...found[at]![row]!)));
      return results;
    },
  };
}

/** The most target tokens that the positions of the model allow. */
function longestTarget({ model }: TranslationConfig): number {
  return model.positions === 'learned' ? model.contextLength - 1 : Infinity; // the begin of sentence takes one
}

/** What of a source the model takes, in tokens with the end of sentence. */
export interface SourceLimits {
  /** A line with more is split at its sentence ends. */
  part: number;
  /** A sentence with more is refused. */
  sentence: number;
}

/** Of a line: parts as long as in training; one sentence may be longer, as far as positions go. */
export function sourceLimits(config: TranslationConfig): SourceLimits {
  return { part: config.data.maximumTokens, sentence: longestSequence(config) };
}

/** Most tokens of a side that the model is ever given: learned positions end, and attention to more than this has no memory. */
export function longestSequence({ model, data }: TranslationConfig): number {
  return model.positions === 'learned' ? model.contextLength : Math.max(2048, 8 * data.maximumTokens);
}

/** A hypothesis to be found: of the source `index`, for samples one of several. */
interface Row {
  readonly ids: Int32Array;
  readonly index: number;
  readonly line: number;
  readonly part: number;
  readonly draw: number;
}

function rowsOf(sources: readonly Int32Array[], { sampling, nBest = 1, numbers }: DecodingOptions): Row[] {
  const draws = sampling ? nBest : 1;
  return sources.flatMap((ids, index) => {
    const [line, part] = numbers?.[index] ?? [index, 0];
    return Array.from({ length: draws }, (_, draw): Row => ({ ids, index, line, part, draw }));
  });
}

interface Batch {
  readonly rows: Row[];
  /** How many rows are in the batches before it. */
  readonly before: number;
}

/** Rows in batches of similar lengths, longest first, of at most `places` places each; the rows of a source stay in order. */
function batchesByLength(rows: readonly Row[], places: number): Batch[] {
  const batches: Batch[] = [];
  for (const [before, row] of [...rows].sort((a, b) => b.ids.length - a.ids.length).entries()) {
    const batch = batches.at(-1);
    if (batch && (batch.rows.length + 1) * batch.rows[0]!.ids.length <= places) batch.rows.push(row);
    else batches.push({ rows: [row], before });
  }
  return batches;
}

/** Until one is stopped. */
async function inTurn<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  for (const item of items) {
    results.push(await work(item));
    if (results.at(-1) === null) break;
  }
  return results;
}
