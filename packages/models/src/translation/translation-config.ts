// The configuration of a run that trains a translation model: its schema, and what must hold between its keys. The `data` section is in
// translation-data.ts; flags and files are not here.
import { tokenizerNames } from '@xmoe/metrics';
import type { JsonValue } from '@xmoe/files';
import { z } from 'zod';
import { expertsProblems, expertsSchema, type ConfigProblem } from '../sections/experts.js';
import { batchCount, count, countFromZero, layerCount, layerSize, modelWidth, positiveFloat, share, whole } from '../sections/ranges.js';
import { readConfig, type ReadConfigOptions } from '../sections/read-config.js';
import { spreadProblems, trainingProblems, trainingShape } from '../sections/training.js';
import { dataSchema } from './translation-data.js';

export const translationRunSchema = z.object({
  description: z.string().optional(),
  model: z.object({
    /** Longest sequence of learned positions; sinusoids go on beyond it. */
    contextLength: layerSize.default(256),
    width: modelWidth,
    heads: modelWidth,
    encoderLayers: layerCount,
    decoderLayers: layerCount,
    /** Hidden size of dense feed-forward layers. */
    hidden: layerSize,
    activation: z.enum(['relu', 'gelu-tanh', 'gelu-erf']).default('relu'),
    /** On embeddings, residual branches and attention probabilities. */
    dropout: z.number().min(0).lt(1).default(0),
    initStd: positiveFloat.default(0.02),
    norm: z.enum(['pre', 'post']).default('pre'),
    positions: z.enum(['sinusoidal', 'learned']).default('sinusoidal'),
    /** What shares the output projection's weight. */
    tiedEmbeddings: z.enum(['decoder', 'all']).default('decoder'),
    labelSmoothing: z.number().min(0).lt(1).default(0.1),
    checkpointing: z.boolean().default(false),
  }),
  /** null: a dense model. */
  moe: expertsSchema.extend({ side: z.enum(['encoder', 'decoder', 'both']).default('encoder') }).nullable(),
  data: dataSchema,
  train: z.object({
    ...trainingShape,
    schedule: trainingShape.schedule.unwrap().default('inverse-square-root'),
    beta2: trainingShape.beta2.unwrap().default(0.98),
    weightDecay: trainingShape.weightDecay.unwrap().default(0),
    /** Padded tokens of the longer side of a micro-batch, at most. */
    batchTokens: batchCount,
    /** Target tokens of an update, at least: micro-batches are accumulated until there are so many. */
    updateTokens: count.default(1),
    /** What chooses the best checkpoint and counts for `patience`. */
    bestBy: z.enum(['bleu', 'chrf', 'loss']).default('chrf'),
    /** End after so many evaluations in a row without a better one; null: never. */
    patience: count.nullable().default(null),
    /** The last so many checkpoints are averaged at the end; 1: none. */
    averageCheckpoints: count.default(1),
    /** Of BLEU: 13a, zh, intl, char or none; null: as sacreBLEU chooses for the target language. */
    bleuTokenizer: z.enum(tokenizerNames).nullable().default(null),
    /** Validation pairs that are translated per evaluation, greedily; null: all. */
    evalPairs: count.nullable().default(200),
    /** Test pairs that the final evaluation translates; null: all. */
    scoredPairs: count.nullable().default(null),
  }),
  /** How the final evaluation and `translate` decode, unless told otherwise. */
  decoding: z.object({
    beam: whole(1, 10_000).default(5),
    lengthPenalty: z.number().min(-1000).max(1000).default(1),
    /** Of the threshold router when translating, where no budget drops what a high one claims; null: as in training. */
    threshold: share.nullable().default(null),
    /** At most ratio · source tokens + extra target tokens. */
    maxLengthRatio: z.number().positive().max(10_000).default(2),
    maxLengthExtra: countFromZero.default(10),
  }).prefault({}),
});

export type TranslationConfig = z.output<typeof translationRunSchema>;
export type DecodingConfig = TranslationConfig['decoding'];

/** What does not go together. `base`: the configuration of the run to go on with. */
export function translationConfigProblems(config: TranslationConfig, base?: TranslationConfig): ConfigProblem[] {
  const { model, moe, train, data } = config;
  const problems = [...trainingProblems(train, base?.train), ...spreadProblems(train, moe?.experts ?? null), ...(moe ? expertsProblems(moe) : [])];
  const add = (problem: string, hint: string): unknown => problems.push({ problem, hint });
  if (model.width % model.heads !== 0) add(`model.width ${model.width} is not a multiple of model.heads ${model.heads}`, 'choose heads that divide the width');
  if (moe?.thresholds) add('moe.thresholds are for language models', 'leave them out');
  if (moe) {
    const layers = { encoder: model.encoderLayers, decoder: model.decoderLayers, both: Math.min(model.encoderLayers, model.decoderLayers) }[moe.side];
    if (moe.every > layers) add(`moe.every ${moe.every} exceeds the ${layers} layers of moe.side ${moe.side}: no layer has experts`, 'lower moe.every');
  }
  if (train.batchTokens < data.maximumTokens) {
    add(`train.batchTokens ${train.batchTokens} is less than data.maximumTokens ${data.maximumTokens}: the longest pair would not fit`, 'raise train.batchTokens, or lower data.maximumTokens');
  }
  if (model.positions === 'learned' && model.contextLength < data.maximumTokens) {
    add(`model.contextLength ${model.contextLength} is less than data.maximumTokens ${data.maximumTokens}`, 'raise model.contextLength, or use sinusoidal positions');
  }
  if (train.keepCheckpoints < train.averageCheckpoints) {
    add(`train.averageCheckpoints ${train.averageCheckpoints} exceeds train.keepCheckpoints ${train.keepCheckpoints}`, 'keep as many as are averaged');
  }
  return problems;
}

/**
 * The configuration that JSON holds, such as a preset or the `config` of a run: defaults filled in, assignments applied.
 * @throws XMoEError `config` that names every problem with its key
 */
export function readTranslationConfig(value: JsonValue, options: ReadConfigOptions = {}): TranslationConfig {
  return readConfig(translationRunSchema, translationConfigProblems, value, options);
}
