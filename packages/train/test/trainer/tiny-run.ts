// A tiny language model, its batches and everything that a run of it needs. Not a test.
import { createCpuBackend } from '@xmoe/backend-cpu';
import {
  createEngine, foldIn, hostUniform, initializeParameters, multiply, randomKey,
  type Engine, type FloatDType, type Tensor,
} from '@xmoe/core';
import { oneGroup, type Comm, type RankGroups } from '@xmoe/distributed';
import { createMoeFeedForward, summarizeTrace, type DispatchPath, type RoutingTrace } from '@xmoe/moe';
import type { RouterConfig } from '@xmoe/routers/by-name';
import { createDenseFeedForward, createLanguageModel, type LanguageModelBatch } from '@xmoe/nn';
import { createTrainer, type Trainer } from '../../src/trainer/trainer.js';
import { runTraining, type BatchSource, type RunTrainingOptions } from '../../src/trainer/run-training.js';
import type { LayerRouting } from '../../src/trainer/layer-routing.js';
import type { Reduction } from '../../src/trainer/reduction.js';
import type { JsonObject } from '@xmoe/files';

export interface HostBatch {
  index: number;
  inputs: number[];
  /** −1 for none. */
  targets: number[];
}

export const VOCABULARY = 11;
export const LENGTH = 6;

export interface TinyOptions {
  engine?: Engine;
  experts?: number;
  /** Of layer 2; null for a dense one. */
  dispatch?: DispatchPath | null;
  /** Default: threshold 0.7. */
  router?: RouterConfig;
  /** Of the balance loss. Default: batch. */
  balanceOver?: 'batch' | 'update';
  /** Layers with experts begin here. Default: 2, the last. */
  firstExperts?: number;
  dropout?: number;
  sequences?: number;
  computeDType?: FloatDType;
  seed?: number;
  /** Multiplies the loss of update `step` (1-based), to break it on purpose; `index` is that of `batchAt`. */
  lossFactor?: (step: number, index: number) => number;
  /** That of batch `index`, by infinity. */
  breakAt?: number;
  comm?: Comm;
  /** Of `comm`. Default: every rank has all experts. */
  ranks?: RankGroups;
  reduction?: Reduction;
  shardOptimizer?: boolean;
  /** FLOPs that a trace reports, by update (1-based). Default: the real count of rows. */
  flops?: (step: number) => number;
}

export interface TinyTrainer {
  engine: Engine;
  trainer: Trainer<HostBatch>;
  parameters: Record<string, Tensor>;
}

export function tinyTrainer(options: TinyOptions = {}): TinyTrainer {
  const { engine = createEngine(createCpuBackend()), experts = 4, dispatch = 'padded', dropout = 0.1, sequences = 2, seed = 1, firstExperts = 2, balanceOver = 'batch', router = { type: 'threshold', threshold: 0.7 } } = options;
  const model = createLanguageModel<RoutingTrace>({
    vocabularySize: VOCABULARY, contextLength: LENGTH, width: 8, heads: 2, layers: 2, dropout, initStd: 0.2,
    feedForward: ({ index, name, std, outputStd }) =>
      index >= firstExperts && dispatch
        ? createMoeFeedForward({ name: `${name}.moe`, width: 8, hidden: 4, experts, router, dispatch, balanceOver, capacityFactor: 2, initStd: std, outputStd, ranks: options.ranks?.experts })
        : createDenseFeedForward({ name: `${name}.mlp`, width: 8, hidden: 16, activation: 'gelu-tanh', std, outputStd }),
  });
  const parameters = initializeParameters(engine, model.parameters, randomKey(seed));
  const inputs = engine.zeros([sequences * LENGTH], 'int32').keep();
  const targets = engine.zeros([sequences * LENGTH], 'int32').keep();
  const lossFactor = engine.ones([]).keep();
  const trainer: Trainer<HostBatch> = createTrainer<HostBatch, LanguageModelBatch, RoutingTrace>({
    engine,
    specs: model.parameters,
    states: model.states,
    parameters,
    optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clipNorm: 1 },
    schedule: { type: 'cosine', peak: 0.01, final: 0.001, warmupSteps: 3, totalSteps: 40 },
    seed,
    computeDType: options.computeDType ?? 'float32',
    shardOptimizer: options.shardOptimizer ?? false,
    ...(options.comm ? { ranks: options.ranks ?? oneGroup(options.comm) } : {}),
    reduction: options.reduction,
    upload(batch) {
      inputs.write(batch.inputs);
      targets.write(batch.targets);
      lossFactor.write([batch.index === options.breakAt ? Infinity : (options.lossFactor?.(trainer.state.step + 1, batch.index) ?? 1)]);
      return { shape: { batch: sequences, length: LENGTH }, inputs, targets };
    },
    countTargets: (batch) => batch.targets.filter((target) => target >= 0).length,
    loss(weights, batch, context, lossOptions) {
      const parts = model.loss(weights, batch, context, lossOptions);
      return options.lossFactor || options.breakAt !== undefined ? { ...parts, loss: multiply(parts.loss, lossFactor) } : parts;
    },
    async summarizeTrace(trace): Promise<LayerRouting> {
      const { expertsPerToken, keptPerToken, dropRate, load, executedRows, tokens } = await summarizeTrace(trace);
      const flops = options.flops?.(trainer.state.step + 1) ?? executedRows;
      return { tokens, expertsPerToken, keptPerToken, dropRate, load, budgetedFlops: 2 * flops, executedFlops: flops };
    },
  });
  return { engine, trainer, parameters };
}

/** Batch `index`: tokens that follow each other by one rule, so that there is something to learn. */
export function batchAt(index: number, sequences = 2, targetsKept: (position: number) => boolean = () => true): HostBatch {
  const starts = hostUniform(foldIn(randomKey(77), index), sequences);
  const tokens = Array.from({ length: sequences }, (_, row) => {
    const line = [Math.floor(starts[row]! * VOCABULARY)];
    while (line.length <= LENGTH) line.push((line.at(-1)! * 3 + 1) % VOCABULARY);
    return line;
  });
  return {
    index,
    inputs: tokens.flatMap((line) => line.slice(0, LENGTH)),
    targets: tokens.flatMap((line) => line.slice(1)).map((target, position) => (targetsKept(position) ? target : -1)),
  };
}

export function batchSource(): BatchSource<HostBatch> {
  let index = 0;
  return {
    next: () => batchAt(index++),
    state: () => ({ index }),
    restore: (state) => {
      index = state.index as number;
    },
  };
}

/** All weights and moments, for comparing bit by bit. */
export async function snapshot(trainer: Trainer<HostBatch>): Promise<Record<string, number[]>> {
  const { parameters, optimizer } = await trainer.tensors();
  return Object.fromEntries([...parameters, ...optimizer].map(({ name, data }) => [name, [...data]]));
}

export interface Stop {
  requested: boolean;
  reason: 'SIGINT' | undefined;
}

export type RunOverrides = Partial<RunTrainingOptions<HostBatch>> & { directory: string; tiny?: TinyOptions };

/** Runs a session of a 12-step run; the default evaluation counts itself in `evaluations`. */
export async function runTiny({ tiny, ...overrides }: RunOverrides) {
  const made = tinyTrainer(tiny);
  const evaluations: number[] = [];
  const messages: string[] = [];
  try {
    const outcome = await runTraining<HostBatch>({
      trainer: made.trainer,
      batches: batchSource(),
      totalSteps: 12,
      accumulation: 1,
      evaluateEvery: 4,
      checkpointEvery: 3,
      keepCheckpoints: 10,
      routingEvery: 5,
      resume: false,
      saved: { name: 'tiny' },
      files: { 'tokenizer.json': '{}' },
      checkSaved: (_saved: JsonObject) => undefined,
      async evaluate() {
        const { step } = made.trainer.state;
        evaluations.push(step);
        return { loss: 3 - step / 10, perplexity: 20 - step };
      },
      stop: { requested: false, reason: undefined },
      stream: { write: (text: string) => messages.push(text) },
      ...overrides,
    });
    return { outcome, evaluations, messages, weights: await snapshot(made.trainer) };
  } finally {
    made.engine.dispose();
  }
}
