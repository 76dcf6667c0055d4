// Training of a model of some thousand parameters, as tests need it: given batches in, losses out. No tests.
import { createEngine, foldIn, hostUniform, initializeParameters, randomKey, type Backend, type Engine } from '@xmoe/core';
import { createMoeFeedForward, summarizeTrace, type DispatchPath, type RoutingTrace } from '@xmoe/moe';
import { createDenseFeedForward, createLanguageModel, type LanguageModel, type LanguageModelBatch } from '@xmoe/nn';
import type { RouterConfig } from '@xmoe/routers/by-name';
import { createTrainer, type Trainer } from '@xmoe/train';
import { expect } from 'vitest';

const [V, B, T, d] = [13, 4, 8, 16];

export type Experts = { router: RouterConfig; dispatch: DispatchPath } | null;

function tinyModel(experts: Experts): LanguageModel<RoutingTrace> {
  return createLanguageModel<RoutingTrace>({
    vocabularySize: V, contextLength: T, width: d, heads: 2, layers: 2, dropout: 0.1, initStd: 0.2,
    feedForward: ({ index, name, std, outputStd }) =>
      index === 2 && experts
        ? createMoeFeedForward({ ...experts, name: `${name}.moe`, width: d, hidden: 8, experts: 8, vocabularySize: V, capacityFactor: 2, initStd: std, outputStd })
        : createDenseFeedForward({ name: `${name}.mlp`, width: d, hidden: 32, activation: 'gelu-tanh', std, outputStd }),
  });
}

export interface HostBatch {
  inputs: Int32Array;
  targets: Int32Array;
}

/** Sequences in which each token follows from the one before. */
export function batchAt(step: number): HostBatch {
  const starts = hostUniform(foldIn(randomKey(5), step), B);
  const tokenAt = (row: number, position: number): number => {
    let token = Math.floor(starts[row]! * V);
    for (let i = 0; i < position; i++) token = (token * 2 + 3) % V;
    return token;
  };
  const grid = (shift: number) => Int32Array.from({ length: B * T }, (_, index) => tokenAt(Math.floor(index / T), (index % T) + shift));
  return { inputs: grid(0), targets: grid(1) };
}

/** A trainer of a new model on `engine`, which owns what it makes. `onUpload` is called for each micro-batch. */
export function createTinyTrainer(engine: Engine, experts: Experts, onUpload: (batch: HostBatch) => void = () => undefined): Trainer<HostBatch> {
  const model = tinyModel(experts);
  const [inputs, targets] = [engine.zeros([B * T], 'int32').keep(), engine.zeros([B * T], 'int32').keep()];
  return createTrainer<HostBatch, LanguageModelBatch, RoutingTrace>({
    engine,
    specs: model.parameters,
    states: model.states,
    parameters: initializeParameters(engine, model.parameters, randomKey(42)),
    optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clipNorm: 1 },
    schedule: { type: 'cosine', peak: 0.01, final: 0.001, warmupSteps: 2, totalSteps: 20 },
    seed: 42,
    computeDType: 'float32',
    upload(batch) {
      onUpload(batch);
      inputs.write(batch.inputs);
      targets.write(batch.targets);
      return { shape: { batch: B, length: T }, inputs, targets };
    },
    countTargets: (batch) => batch.targets.length,
    loss: (weights, batch, context, options) => model.loss(weights, batch, context, options),
    async summarizeTrace(trace) {
      const { tokens, wanted, kept, dropped, load, executedRows } = await summarizeTrace(trace);
      expect(kept + dropped).toBe(wanted);
      return { tokens, expertsPerToken: wanted / tokens, keptPerToken: kept / tokens, dropRate: dropped / wanted, load, budgetedFlops: 0, executedFlops: executedRows };
    },
  });
}

/** The losses of the first `steps` updates, as [cross-entropy, auxiliary loss, gradient norm]. */
export async function train(backend: Backend, steps: number, experts: Experts): Promise<number[][]> {
  const engine = createEngine(backend);
  try {
    const trainer = createTinyTrainer(engine, experts);
    const out: number[][] = [];
    for (let step = 0; step < steps; step++) {
      const { crossEntropy, auxLoss, gradientNorm, skipped, routing } = await trainer.step([batchAt(step)], { collectRouting: true });
      expect(skipped).toBe(false);
      for (const { summary } of routing!) expect(summary.load.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 6);
      out.push([crossEntropy, auxLoss, gradientNorm]);
    }
    return out;
  } finally {
    engine.dispose();
  }
}

/** Cross-entropy and auxiliary loss of every step within 1e-3 of the expected ones. */
export function expectNear(losses: readonly number[][], expected: readonly number[][]): void {
  expect(losses.length).toBe(expected.length);
  losses.forEach(([crossEntropy, auxLoss], step) => {
    const [wantedCrossEntropy, wantedAuxLoss] = expected[step]!;
    expect(Math.abs(crossEntropy! - wantedCrossEntropy!), `cross-entropy of step ${step + 1}`).toBeLessThan(1e-3 * wantedCrossEntropy!);
    // 0 where the router has no such loss.
    expect(Math.abs(auxLoss! - wantedAuxLoss!), `auxiliary loss of step ${step + 1}`).toBeLessThanOrEqual(1e-3 * wantedAuxLoss!);
  });
}
