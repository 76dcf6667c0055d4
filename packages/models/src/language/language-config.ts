// The configuration of a run that trains a language model: its schema, and what must hold between its keys. Flags and files are
// not here.
import type { JsonValue } from '@xmoe/files';
import { z } from 'zod';
import { expertsProblems, expertsSchema, thresholdsProblems, type ConfigProblem } from '../sections/experts.js';
import { batchCount, count, layerCount, layerSize, modelWidth, positiveFloat, share, whole } from '../sections/ranges.js';
import { readConfig, type ReadConfigOptions } from '../sections/read-config.js';
import { spreadProblems, trainingProblems, trainingShape } from '../sections/training.js';

export const languageRunSchema = z.object({
  description: z.string().optional(),
  model: z.object({
    contextLength: layerSize,
    width: modelWidth,
    heads: modelWidth,
    layers: layerCount,
    /** Hidden size of dense feed-forward layers. */
    hidden: layerSize,
    activation: z.enum(['gelu-tanh', 'gelu-erf', 'relu']).default('gelu-tanh'),
    dropout: z.number().min(0).lt(1).default(0),
    initStd: positiveFloat.default(0.02),
    checkpointing: z.boolean().default(false),
    layerNormEpsilon: positiveFloat.default(1e-5),
    /** Whether the output projection is the token embedding. */
    tiedEmbeddings: z.boolean().default(true),
  }),
  /** null: a dense model. */
  moe: expertsSchema.nullable(),
  data: z.object({
    /** Text that comes with the program: `sotu`, `brown` or `sotu+brown`; ignored when `files` are given. */
    corpus: z.enum(['sotu', 'brown', 'sotu+brown']).default('sotu'),
    /** Files or directories of text, JSON lines, CSV, TSV or Parquet. */
    files: z.array(z.string()).default([]),
    /** Column or key of the text in JSON, CSV, TSV and Parquet. */
    textField: z.string().default('text'),
    tokenizer: z.discriminatedUnion('type', [
      z.object({ type: z.literal('gpt2') }),
      z.object({ type: z.literal('bpe'), vocabularySize: whole(257, 2 ** 24) }),
      /** That of weights a run begins with: a tokenizer.json or a folder with one. `hash` says that it still is that one. */
      z.object({ type: z.literal('file'), path: z.string(), vocabularySize: whole(1, 2 ** 24), hash: z.string() }),
    ]),
    validationFraction: share.default(0.05),
    testFraction: share.default(0.05),
    /** Refuse malformed rows instead of counting them. */
    strict: z.boolean().default(false),
    /** Most times its size that a compressed file, or a page of Parquet, may unpack to; 64 MiB always may. */
    maximumExpansion: z.number().min(1).default(256),
  }),
  train: z.object({
    ...trainingShape,
    /** Sequences per micro-batch. */
    batchSize: batchCount,
    /** Micro-batches per update. */
    accumulation: batchCount.default(1),
    /** Windows of the validation split per evaluation during training. */
    evalWindows: count,
    /** What an update changes: all, or the gates of experts alone, the rest frozen. */
    trainable: z.enum(['all', 'router']).default('all'),
    /** Windows of the test split that the final evaluation scores, from its beginning; null: all. */
    testWindows: count.nullable().default(null),
  }),
});

export type LanguageConfig = z.output<typeof languageRunSchema>;

/** What does not go together. `base`: the configuration of the run to go on with. */
export function languageConfigProblems(config: LanguageConfig, base?: LanguageConfig): ConfigProblem[] {
  const { model, moe, train, data } = config;
  const problems = [...trainingProblems(train, base?.train), ...spreadProblems(train, moe?.experts ?? null), ...(moe ? expertsProblems(moe) : [])];
  const add = (problem: string, hint: string): unknown => problems.push({ problem, hint });
  if (model.width % model.heads !== 0) add(`model.width ${model.width} is not a multiple of model.heads ${model.heads}`, 'choose heads that divide the width');
  if (moe && moe.every > model.layers) add(`moe.every ${moe.every} exceeds model.layers ${model.layers}: no layer has experts`, 'lower moe.every');
  if (moe) problems.push(...thresholdsProblems(moe, Math.floor(model.layers / moe.every)));
  if (train.trainable === 'router' && !moe) add('train.trainable is router, and the model is dense', 'leave --trainable out, or begin with experts');
  if (train.trainable === 'router' && moe && 'equalWeights' in moe.router && moe.router.equalWeights && !moe.distillCoefficient && !moe.balanceCoefficient && !moe.zCoefficient) {
    add('train.trainable is router, and nothing trains one whose experts have equal weights', 'set --distill-coefficient 1, or leave --trainable or --equal-weights out');
  }
  if (data.validationFraction + data.testFraction >= 1) add('no text is left to train on', 'lower data.validationFraction and data.testFraction');
  return problems;
}

/**
 * The configuration that JSON holds, such as a preset or the `config` of a run: defaults filled in, assignments applied.
 * @throws XMoEError `config` that names every problem with its key
 */
export function readLanguageConfig(value: JsonValue, options: ReadConfigOptions = {}): LanguageConfig {
  return readConfig(languageRunSchema, languageConfigProblems, value, options);
}
