// The configuration of one pretraining run: its schema, what must hold between its keys, and what a resumed run may change.
// Presets and flags are in resolve-config.ts.
import { XMoEError } from '@xmoe/core';
import { z } from 'zod';

const positive = z.int().min(1);
const rate = z.number().min(0).max(1);

const routerSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('threshold'), threshold: z.number(), maxExpertsPerToken: positive.optional() }),
  z.object({ type: z.literal('topk'), k: positive, noise: z.boolean().optional(), rankOnlyPriority: z.boolean().optional() }),
  z.object({ type: z.literal('switch') }),
  z.object({ type: z.literal('hash'), balanced: z.boolean().optional() }),
  z.object({ type: z.literal('base') }),
  z.object({ type: z.literal('uniform'), k: positive }),
]);

/** The `moe` section: what a dense model has not. */
export const moeSchema = z.object({
  /** MoE in layers every, 2·every, … (1-based). */
  every: positive.default(2),
  experts: positive,
  /** Hidden size s of one expert. */
  expertHidden: positive,
  router: routerSchema,
  dispatch: z.enum(['padded', 'grouped', 'budget']).default('padded'),
  /** γ of C = max(minCapacity, ⌈γ·T/N⌉) and of the budget γ·T. */
  capacityFactor: z.number().positive(),
  minCapacity: positive.default(4),
  balanceCoefficient: z.number().min(0).default(0.01),
  zCoefficient: z.number().min(0).default(0),
  init: z.enum(['independent', 'copy']).default('independent'),
});

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
  moe: moeSchema.nullable(),
  data: z.object({
    /** Text that comes with the program: `sotu`, `brown` or `sotu+brown`; ignored when `files` are given. */
    corpus: z.enum(['sotu', 'brown', 'sotu+brown']).default('sotu'),
    /** Files or directories of text, JSON lines or Parquet. */
    files: z.array(z.string()).default([]),
    /** Column or key of the text in JSON lines and Parquet. */
    textField: z.string().default('text'),
    tokenizer: z.discriminatedUnion('type', [
      z.object({ type: z.literal('gpt2') }),
      z.object({ type: z.literal('bpe'), vocabularySize: z.int().min(257) }),
    ]),
    validationFraction: rate.default(0.05),
    testFraction: rate.default(0.05),
    /** Refuse malformed rows instead of counting them. */
    strict: z.boolean().default(false),
  }),
  train: z.object({
    steps: positive,
    /** Sequences per micro-batch. */
    batchSize: positive,
    /** Micro-batches per update. */
    accumulation: positive.default(1),
    schedule: z.enum(['cosine', 'inverse-square-root', 'constant']).default('cosine'),
    learningRate: z.number().positive(),
    finalLearningRate: z.number().min(0).default(0),
    warmupSteps: z.int().min(0),
    beta1: rate.default(0.9),
    beta2: rate.default(0.95),
    epsilon: z.number().positive().default(1e-8),
    weightDecay: z.number().min(0).default(0.1),
    clipNorm: z.number().min(0).default(1),
    precision: z.enum(['float32', 'float16']).default('float32'),
    seed: z.int().min(0).default(1),
    evalEvery: positive,
    /** Windows of the validation split per evaluation during training. */
    evalWindows: positive,
    /** Windows of the test split that the final evaluation scores, from its beginning; null: all. */
    testWindows: positive.nullable().default(null),
    checkpointEvery: positive,
    keepCheckpoints: positive.default(2),
    /** Steps between two rows of routing statistics. */
    routingEvery: positive.default(10),
  }),
});

export type Config = z.output<typeof configSchema>;
export type RouterSettings = z.output<typeof routerSchema>;

/** Refuses values that do not go together. `where` begins the message. */
export function checkConfig(config: Config, where: string): void {
  const fail = (problem: string, hint: string): never => {
    throw new XMoEError('config', `${where}: ${problem}`, { hint });
  };
  const { model, moe, train } = config;
  if (model.width % model.heads !== 0) fail(`model.width ${model.width} is not a multiple of model.heads ${model.heads}`, 'choose heads that divide the width');
  if (moe && moe.every > model.layers) fail(`moe.every ${moe.every} exceeds model.layers ${model.layers}: no layer has experts`, 'lower moe.every');
  if (moe && (moe.router.type === 'topk' || moe.router.type === 'uniform') && moe.router.k > moe.experts) {
    fail(`moe.router.k ${moe.router.k} exceeds moe.experts ${moe.experts}`, 'lower k');
  }
  if (config.data.validationFraction + config.data.testFraction >= 1) fail('no text is left to train on', 'lower data.validationFraction and data.testFraction');
  if (train.finalLearningRate > train.learningRate) fail('train.finalLearningRate exceeds train.learningRate', 'lower it');
}

/** Keys under `train` that a resumed run may change without becoming another run. */
const RESUMABLE_KEYS = new Set(['train.evalEvery', 'train.evalWindows', 'train.testWindows', 'train.checkpointEvery', 'train.keepCheckpoints', 'train.routingEvery']);

/** Refuses to go on from a checkpoint under a configuration that would make it another run. */
export function checkResumable(saved: unknown, current: Config, where: string): void {
  const before = flatten(saved);
  const after = flatten(current);
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key) && !RESUMABLE_KEYS.has(key));
  if (changed.length === 0) return;
  const differences = changed.map((key) => `${key} was ${before.get(key) ?? 'absent'} and is now ${after.get(key) ?? 'absent'}`);
  throw new XMoEError('config', `${where} belongs to another configuration: ${differences.join('; ')}`, {
    hint: 'leave these flags out to go on with the run, or start a new one in another --out',
  });
}

/** Leaves of a JSON value by dotted path, as text. */
function flatten(value: unknown, path = '', out = new Map<string, string>()): Map<string, string> {
  if (typeof value !== 'object' || value === null) return out.set(path, JSON.stringify(value));
  for (const [key, item] of Object.entries(value)) flatten(item, path ? `${path}.${key}` : key, out);
  return out;
}
