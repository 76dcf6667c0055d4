// The configuration of one pretraining run: its schema, its presets and what flags change. Builds nothing.
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { listPresets, loadPreset, mergeOverrides, parseConfig, type JsonObject } from '@xmoe/train';
import { z } from 'zod';
import { packageRoot } from './package-root.js';

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

const moeSchema = z.object({
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
    checkpointEvery: positive,
    keepCheckpoints: positive.default(2),
    /** Steps between two rows of routing statistics. */
    routingEvery: positive.default(10),
  }),
});

export type Config = z.output<typeof configSchema>;
export type RouterSettings = z.output<typeof routerSchema>;

export const ROUTER_NAMES = ['threshold', 'topk', 'switch', 'hash', 'base', 'uniform', 'dense'] as const;

/** Flags that stand for a key at another path. */
const FLAG_ALIASES = {
  'max-steps': 'train.steps',
  'batch-size': 'train.batchSize',
  'capacity-factor': 'moe.capacityFactor',
  threshold: 'moe.router.threshold',
  k: 'moe.router.k',
  dispatch: 'moe.dispatch',
  experts: 'moe.experts',
  seed: 'train.seed',
} as const;

export interface ConfigFlags {
  preset: string;
  /** Replaces the router of the preset; `dense` removes the mixture of experts. */
  router?: string;
  data?: string[];
  set?: string[];
  /** Any other flag: a key of the configuration by its name. */
  flags?: JsonObject;
}

const presetDirectory = (): string => join(packageRoot(import.meta.url), 'presets');

/** Name and description of each preset. */
export async function presetDescriptions(): Promise<[string, string][]> {
  const names = await listPresets(presetDirectory());
  return Promise.all(names.map(async (name): Promise<[string, string]> => [name, String((await loadPreset(presetDirectory(), name)).description ?? '')]));
}

/** The validated configuration of a preset with flags applied. */
export async function resolveConfig({ preset, router, data, set, flags = {} }: ConfigFlags): Promise<Config> {
  const base = await loadPreset(presetDirectory(), preset);
  const withRouter = router === undefined ? base : replaceRouter(base, router);
  const withData = data && data.length > 0 ? { ...withRouter, data: { ...(withRouter.data as JsonObject), files: data } } : withRouter;
  const where = `preset ${preset}`;
  // Defaults first, so that a flag may name a key that the preset leaves out.
  const complete = parseConfig(configSchema, withData, { where });
  const merged = mergeOverrides(complete as unknown as JsonObject, { flags, ...(set ? { set } : {}), aliases: FLAG_ALIASES });
  const config = parseConfig(configSchema, merged, { where });
  checkConfig(config, where);
  return config;
}

/** The configuration that a checkpoint holds. */
export function savedConfig(value: unknown, where: string): Config {
  return parseConfig(configSchema, value, { where });
}

function replaceRouter(base: JsonObject, router: string): JsonObject {
  if (!(ROUTER_NAMES as readonly string[]).includes(router)) {
    throw new XMoEError('config', `there is no router ${JSON.stringify(router)}`, { hint: `one of ${ROUTER_NAMES.join(', ')}` });
  }
  if (router === 'dense') return { ...base, moe: null };
  if (!base.moe) {
    throw new XMoEError('config', `--router ${router}: the preset is dense`, { hint: 'use a preset with experts, e.g. tiny' });
  }
  const moe = base.moe as JsonObject;
  const current = moe.router as JsonObject;
  if (current.type === router) return base;
  const settings: JsonObject = { type: router };
  if (router === 'threshold') settings.threshold = 0.9;
  // Equal FLOPs: as many choices as the capacity factor pays for (γ·s constant).
  if (router === 'topk' || router === 'uniform') settings.k = Math.max(1, Math.round(moe.capacityFactor as number));
  return { ...base, moe: { ...moe, router: settings } };
}

function checkConfig(config: Config, where: string): void {
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
const RESUMABLE_KEYS = new Set(['train.evalEvery', 'train.evalWindows', 'train.checkpointEvery', 'train.keepCheckpoints', 'train.routingEvery']);

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
