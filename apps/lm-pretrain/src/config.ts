// The configuration of one pretraining run: its schema, what must hold between its keys, what a resumed run may change, and
// where its presets are.
import { join, resolve } from 'node:path';
import {
  batchCount, count, createConfigResolver, expertsProblems, expertsSchema, layerCount, layerSize, modelWidth, packageRoot, positiveFloat,
  refuseOtherConfig, RESUMABLE_TRAINING_KEYS, share, trainingProblems, trainingShape, whole, withDefaults, type ConfigProblem,
} from '@xmoe/program';
import type { JsonObject } from '@xmoe/files';
import { z } from 'zod';

export const configSchema = z.object({
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
    /** Windows of the test split that the final evaluation scores, from its beginning; null: all. */
    testWindows: count.nullable().default(null),
  }),
});

export type Config = z.output<typeof configSchema>;

/** What does not go together. `base`: the configuration of the run to go on with. */
function configProblems(config: Config, base?: Config): ConfigProblem[] {
  const { model, moe, train, data } = config;
  const problems = [...trainingProblems(train, base?.train), ...(moe ? expertsProblems(moe) : [])];
  const add = (problem: string, hint: string): unknown => problems.push({ problem, hint });
  if (model.width % model.heads !== 0) add(`model.width ${model.width} is not a multiple of model.heads ${model.heads}`, 'choose heads that divide the width');
  if (moe && moe.every > model.layers) add(`moe.every ${moe.every} exceeds model.layers ${model.layers}: no layer has experts`, 'lower moe.every');
  if (data.validationFraction + data.testFraction >= 1) add('no text is left to train on', 'lower data.validationFraction and data.testFraction');
  return problems;
}

/** What a resumed run may change without becoming another run. */
const RESUMABLE_KEYS = new Set([...RESUMABLE_TRAINING_KEYS, 'train.evalWindows', 'train.testWindows']);

/** Refuses to go on from a checkpoint under a configuration that would make it another run. */
export function checkResumable(saved: unknown, current: Config, where: string): void {
  refuseOtherConfig(withDefaults(configSchema, saved), current, RESUMABLE_KEYS, where);
}

/** From presets and flags to configurations. */
export const configs = createConfigResolver<Config>({
  schema: configSchema,
  presetDirectory: join(packageRoot(import.meta.url), 'presets'),
  aliases: { 'max-steps': 'train.steps', 'batch-size': 'train.batchSize', seed: 'train.seed' },
  withData: (base, paths) => ({ ...base, data: { ...(base.data as JsonObject), files: paths.map((path) => resolve(path)) } }),
  problems: configProblems,
});
