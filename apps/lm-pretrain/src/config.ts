// The configuration of one pretraining run: its schema, what must hold between its keys, what a resumed run may change, and
// where its presets are.
import { join, resolve } from 'node:path';
import { XMoEError } from '@xmoe/core';
import {
  createConfigResolver, expertsProblem, expertsSchema, packageRoot, refuseOtherConfig, trainingShape,
} from '@xmoe/train/program';
import type { JsonObject } from '@xmoe/train';
import { z } from 'zod';

const positive = z.int().min(1);
const rate = z.number().min(0).max(1);

export const configSchema = z.object({
  description: z.string().optional(),
  model: z.object({
    contextLength: positive,
    width: positive,
    heads: positive,
    layers: positive,
    /** Hidden size of dense feed-forward layers. */
    hidden: positive,
    activation: z.enum(['gelu-tanh', 'gelu-erf', 'relu']).default('gelu-tanh'),
    dropout: z.number().min(0).lt(1).default(0),
    initStd: z.number().positive().default(0.02),
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
      z.object({ type: z.literal('bpe'), vocabularySize: z.int().min(257) }),
    ]),
    validationFraction: rate.default(0.05),
    testFraction: rate.default(0.05),
    /** Refuse malformed rows instead of counting them. */
    strict: z.boolean().default(false),
    /** Most times its size that a compressed file, or a page of Parquet, may unpack to; 64 MiB always may. */
    maximumExpansion: z.number().min(1).default(256),
  }),
  train: z.object({
    ...trainingShape,
    /** Sequences per micro-batch. */
    batchSize: positive,
    /** Micro-batches per update. */
    accumulation: positive.default(1),
    /** Windows of the validation split per evaluation during training. */
    evalWindows: positive,
    /** Windows of the test split that the final evaluation scores, from its beginning; null: all. */
    testWindows: positive.nullable().default(null),
  }),
});

export type Config = z.output<typeof configSchema>;

/** Refuses values that do not go together. `where` begins the message. */
function checkConfig(config: Config, where: string): void {
  const fail = (problem: string, hint: string): never => {
    throw new XMoEError('config', `${where}: ${problem}`, { hint });
  };
  const { model, moe, train } = config;
  if (model.width % model.heads !== 0) fail(`model.width ${model.width} is not a multiple of model.heads ${model.heads}`, 'choose heads that divide the width');
  if (moe && moe.every > model.layers) fail(`moe.every ${moe.every} exceeds model.layers ${model.layers}: no layer has experts`, 'lower moe.every');
  const expertProblem = moe && expertsProblem(moe);
  if (expertProblem) fail(expertProblem.problem, expertProblem.hint);
  if (config.data.validationFraction + config.data.testFraction >= 1) fail('no text is left to train on', 'lower data.validationFraction and data.testFraction');
  if (train.finalLearningRate > train.learningRate) fail('train.finalLearningRate exceeds train.learningRate', 'lower it');
}

/** What a resumed run may change without becoming another run. */
const RESUMABLE_KEYS = new Set(['train.evalEvery', 'train.evalWindows', 'train.testWindows', 'train.checkpointEvery', 'train.keepCheckpoints', 'train.routingEvery']);

/** Refuses to go on from a checkpoint under a configuration that would make it another run. */
export function checkResumable(saved: unknown, current: Config, where: string): void {
  refuseOtherConfig(saved, current, RESUMABLE_KEYS, where);
}

/** From presets and flags to configurations. */
export const configs = createConfigResolver<Config>({
  schema: configSchema,
  presetDirectory: join(packageRoot(import.meta.url), 'presets'),
  aliases: { 'max-steps': 'train.steps', 'batch-size': 'train.batchSize', seed: 'train.seed' },
  withData: (base, paths) => ({ ...base, data: { ...(base.data as JsonObject), files: paths.map((path) => resolve(path)) } }),
  check: checkConfig,
});
