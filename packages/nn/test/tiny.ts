// Tiny models in double precision, and small ways to read and compare tensors. Not a test.
import { createCpuBackend } from '@xmoe/backend-cpu';
import {
  createEngine, foldIn, hostNormal, initializeParameters, randomKey, valueAndGrad,
  type Engine, type FeedForward, type ForwardContext, type ParameterSpec, type Tensor,
} from '@xmoe/core';
import { createMoeFeedForward, type DispatchPath, type RoutingTrace } from '@xmoe/moe';
import { createDenseFeedForward, createLanguageModel, type LanguageModel, type LanguageModelBatch, type LanguageModelConfig } from '@xmoe/nn';
import { expect } from 'vitest';

export const float64 = (): Engine => createEngine(createCpuBackend({ accumulate: 'float64' }));

export const EVALUATION: ForwardContext = { training: false, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' };

/** Training with dropout drawn from `seed`. */
export const trainingWith = (engine: Engine, seed: number): ForwardContext => ({ ...EVALUATION, training: true, key: engine.key(randomKey(seed)).keep() });

export const normal = (name: string, length: number): Float64Array => Float64Array.from(hostNormal(foldIn(randomKey(3), name), length));

export const normalTensor = (engine: Engine, name: string, shape: readonly number[]): Tensor =>
  engine.tensor(normal(name, shape.reduce((size, extent) => size * extent, 1)), shape).keep();

/** Parameters that are all different from zero and one: biases and norms are drawn too. */
export function drawnParameters(engine: Engine, specs: readonly ParameterSpec[], std = 0.4): Record<string, Tensor> {
  return initializeParameters(engine, specs.map((spec) => ({ ...spec, init: { kind: 'normal', std } })), randomKey(11));
}

export const read = (tensor: Tensor): number[] => [...tensor.dataSync()];

export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-10): void {
  expect(actual.length).toBe(expected.length);
  const worst = Math.max(0, ...Array.from(expected, (value, index) => Math.abs(value - actual[index]!) / (1 + Math.abs(value))));
  expect(worst).toBeLessThanOrEqual(tolerance);
}

export interface TinyOptions extends Partial<LanguageModelConfig<RoutingTrace>> {
  /** The dispatch of a threshold-routed layer 2; dense without. */
  dispatch?: DispatchPath;
}

/** 2 layers of width 4 over 7 tokens and sequences of at most 5. */
export function tinyModel({ dispatch, ...config }: TinyOptions = {}): LanguageModel<RoutingTrace> {
  return createLanguageModel<RoutingTrace>({
    vocabularySize: 7, contextLength: 5, width: 4, heads: 2, layers: 2, dropout: 0, initStd: 0.4,
    feedForward: ({ index, name, std, outputStd }) => tinyFeedForward(index === 2 ? dispatch : undefined, name, std, outputStd),
    ...config,
  });
}

export function tinyFeedForward(dispatch: DispatchPath | undefined, name: string, std: number, outputStd: number): FeedForward<RoutingTrace> {
  if (!dispatch) return createDenseFeedForward({ name: `${name}.mlp`, width: 4, hidden: 6, activation: 'gelu-tanh', std, outputStd });
  return createMoeFeedForward({
    name: `${name}.moe`, width: 4, hidden: 3, experts: 4, router: { type: 'threshold', threshold: 0.7 }, dispatch, capacityFactor: 2, minCapacity: 1,
    balanceCoefficient: 0.1, zCoefficient: 0.01, initStd: std, outputStd,
  });
}

export const INPUTS = [3, 1, 4, 1, 5, 0, 2, 6];
export const TARGETS = [1, 4, 1, 5, -1, 2, 6, 5];

/** Two sequences of 4. */
export function tinyBatch(engine: Engine, inputs: readonly number[] = INPUTS, targets: readonly number[] = TARGETS): LanguageModelBatch {
  const upload = (ids: readonly number[]): Tensor => engine.tensor(Int32Array.from(ids)).keep();
  return { shape: { batch: 2, length: inputs.length / 2 }, inputs: upload(inputs), targets: upload(targets) };
}

/** Loss and gradients on the host, by parameter name. */
export function lossAndGradients(
  engine: Engine,
  loss: (parameters: Record<string, Tensor>) => { loss: Tensor },
  parameters: Record<string, Tensor>,
): { loss: number; gradients: Record<string, number[]>; peakBytes: number } {
  engine.resetPeakMemory();
  return engine.scope(() => {
    const result = valueAndGrad(engine, (weights: Record<string, Tensor>) => loss(weights).loss, parameters);
    const { peakBytes } = engine.memory();
    return {
      loss: read(result.loss)[0]!,
      gradients: Object.fromEntries(Object.entries(result.gradients).map(([name, gradient]) => [name, read(gradient)])),
      peakBytes,
    };
  });
}
