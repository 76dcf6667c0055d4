// Training end to end: the same seed gives the same losses on every backend that runs here, two runs on one backend are
// equal to the bit, and every router trains on every dispatch path.
import { describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { createEngine, foldIn, hostUniform, initializeParameters, randomKey, type Backend, type Engine } from '@xmoe/core';
import { createMoeFeedForward, summarizeTrace, type DispatchPath, type RoutingTrace } from '@xmoe/moe';
import { createDenseFeedForward, createLanguageModel, type LanguageModel, type LanguageModelBatch } from '@xmoe/nn';
import type { RouterConfig } from '@xmoe/routers';
import { createTrainer } from '@xmoe/train';

const [V, B, T, d] = [13, 4, 8, 16];

type Experts = { router: RouterConfig; dispatch: DispatchPath } | null;

function tinyModel(engine: Engine, experts: Experts): LanguageModel<RoutingTrace> {
  return createLanguageModel<RoutingTrace>(engine, {
    vocabularySize: V, contextLength: T, width: d, heads: 2, layers: 2, dropout: 0.1, initStd: 0.2,
    feedForward: ({ index, name, std, outputStd }) =>
      index === 2 && experts
        ? createMoeFeedForward({ ...experts, name: `${name}.moe`, width: d, hidden: 8, experts: 8, vocabularySize: V, capacityFactor: 2, initStd: std, outputStd })
        : createDenseFeedForward({ name: `${name}.mlp`, width: d, hidden: 32, activation: 'gelu-tanh', std, outputStd }),
  });
}

interface HostBatch {
  inputs: Int32Array;
  targets: Int32Array;
}

/** Sequences in which each token follows from the one before. */
function batchAt(step: number): HostBatch {
  const starts = hostUniform(foldIn(randomKey(5), step), B);
  const tokenAt = (row: number, position: number): number => {
    let token = Math.floor(starts[row]! * V);
    for (let i = 0; i < position; i++) token = (token * 2 + 3) % V;
    return token;
  };
  const grid = (shift: number) => Int32Array.from({ length: B * T }, (_, index) => tokenAt(Math.floor(index / T), (index % T) + shift));
  return { inputs: grid(0), targets: grid(1) };
}

/** The losses of the first `steps` updates, as [cross-entropy, auxiliary loss, gradient norm]. */
async function train(backend: Backend, steps: number, experts: Experts): Promise<number[][]> {
  const engine = createEngine(backend);
  try {
    const model = tinyModel(engine, experts);
    const [inputs, targets] = [engine.zeros([B * T], 'int32').keep(), engine.zeros([B * T], 'int32').keep()];
    const trainer = createTrainer<HostBatch, LanguageModelBatch, RoutingTrace>({
      engine,
      specs: model.parameters,
      parameters: initializeParameters(engine, model.parameters, randomKey(42)),
      optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clipNorm: 1 },
      schedule: { type: 'cosine', peak: 0.01, final: 0.001, warmupSteps: 2, totalSteps: 20 },
      seed: 42,
      computeDType: 'float32',
      upload(batch) {
        inputs.write(batch.inputs);
        targets.write(batch.targets);
        return { shape: { batch: B, length: T }, inputs, targets };
      },
      countTargets: (batch) => batch.targets.length,
      loss: (weights, batch, context, options) => model.loss(weights, batch, context, options),
      async summarizeTrace(trace) {
        const { tokens, wanted, kept, dropped, loadShare, executedRows } = await summarizeTrace(trace);
        expect(kept + dropped).toBe(wanted);
        return { tokens, expertsPerToken: wanted / tokens, keptPerToken: kept / tokens, dropRate: dropped / wanted, load: loadShare, budgetedFlops: 0, executedFlops: executedRows };
      },
    });
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

const threshold: RouterConfig = { type: 'threshold', threshold: 0.8 };
const STEPS = 20;

describe('the first 20 losses of one seed', async () => {
  const cpu = (): Promise<number[][]> => train(createCpuBackend(), STEPS, { router: threshold, dispatch: 'padded' });
  const expected = await cpu();

  it('fall, and have an auxiliary part', () => {
    expect(expected[STEPS - 1]![0]!).toBeLessThan(0.8 * expected[0]![0]!);
    for (const [, auxLoss] of expected) expect(auxLoss).toBeGreaterThan(0);
  });

  it('cpu: a second run is equal to the bit', async () => {
    expect(await cpu()).toEqual(expected);
  });

  it.each(['wasm', 'cpu'] as const)('tfjs:%s: as on cpu within 1e-3, and a second run is equal to the bit', async (build) => {
    const run = async (): Promise<number[][]> => train(await createTfjsBackendFor(build), STEPS, { router: threshold, dispatch: 'padded' });
    const losses = await run();
    losses.forEach(([crossEntropy, auxLoss], step) => {
      expect(Math.abs(crossEntropy! / expected[step]![0]! - 1), `step ${step + 1}`).toBeLessThan(1e-3);
      expect(Math.abs(auxLoss! / expected[step]![1]! - 1), `step ${step + 1}`).toBeLessThan(1e-3);
    });
    expect(await run()).toEqual(losses);
  });

  it('on grouped dispatch, tfjs:wasm is as cpu', async () => {
    const experts: Experts = { router: threshold, dispatch: 'grouped' };
    const [one, other] = [await train(createCpuBackend(), 5, experts), await train(await createTfjsBackendFor('wasm'), 5, experts)];
    other.forEach(([crossEntropy], step) => expect(Math.abs(crossEntropy! / one[step]![0]! - 1)).toBeLessThan(1e-3));
  });
});

describe('every router on every dispatch path', () => {
  const routers: RouterConfig[] = [threshold, { type: 'topk', k: 2 }, { type: 'switch' }, { type: 'hash' }, { type: 'base' }];
  const cases = routers.flatMap((router) => (['padded', 'grouped', 'budget'] as const).map((dispatch) => ({ router, dispatch })));

  it.each([...cases, null])('%o trains', async (experts) => {
    const losses = await train(createCpuBackend(), 12, experts);
    expect(losses.flat().every(Number.isFinite)).toBe(true);
    expect(losses[11]![0]!).toBeLessThan(losses[0]![0]!);
    expect(losses.every(([, , norm]) => norm! > 0)).toBe(true);
  });
});
