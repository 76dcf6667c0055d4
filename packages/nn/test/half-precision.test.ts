// A tiny language model in float16 with dynamic loss scaling learns what it learns in float32.
import { afterAll, describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, initializeParameters, randomKey, valueAndGrad, type FloatDType, type Tensor } from '@xmoe/core';
import { createAdamW, isFiniteNorm, nextLossScale, type LossScaleState } from '@xmoe/nn';
import { read, tinyBatch, tinyModel, trainingWith } from './tiny.js';

const engine = createEngine(createCpuBackend());
afterAll(() => engine.dispose());

const batch = tinyBatch(engine);
const model = tinyModel({ dispatch: 'grouped', initStd: 0.2 });

interface Trained {
  losses: number[];
  scales: number[];
  skipped: number;
  parameters: Record<string, Tensor>;
}

/** 20 applied updates from the same start. */
function train(computeDType: FloatDType, scale: number): Trained {
  const parameters = initializeParameters(engine, model.parameters, randomKey(4));
  const adam = createAdamW(engine, model.parameters, { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clipNorm: 1 });
  const context = { ...trainingWith(engine, 1), computeDType };
  let state: LossScaleState = { scale, goodSteps: 0 };
  const out: Trained = { losses: [], scales: [], skipped: 0, parameters };
  while (out.losses.length < 20) {
    const [loss, norm] = engine.scope(() => {
      const seed = engine.scalar(state.scale);
      const result = valueAndGrad(engine, (weights: Record<string, Tensor>) => model.loss(weights, batch, context).loss, parameters, { seed });
      expect(Object.values(result.gradients).every(({ dtype }) => dtype === 'float32')).toBe(true);
      const measured = adam.step(parameters, result.gradients, { learningRate: 0.02, step: out.losses.length + 1, lossScale: state.scale });
      return [read(result.loss)[0]!, read(measured)[0]!] as const;
    });
    out.scales.push(state.scale);
    const finite = isFiniteNorm(norm);
    state = nextLossScale(state, finite);
    if (finite) out.losses.push(loss);
    else out.skipped++;
  }
  return out;
}

describe('float16 on the cpu backend', () => {
  const full = train('float32', 1);
  const half = train('float16', 2 ** 15);

  it('ends within 2 % of float32 and has learned', () => {
    expect(half.losses.every(Number.isFinite)).toBe(true);
    expect(half.losses[19]!).toBeLessThan(0.7 * half.losses[0]!);
    half.losses.forEach((loss, step) => expect(Math.abs(loss / full.losses[step]! - 1)).toBeLessThan(0.02));
    expect(half.losses).not.toEqual(full.losses); // it did compute in half precision
  });

  it('keeps float32 master weights that half precision cannot hold', () => {
    for (const [name, tensor] of Object.entries(half.parameters)) expect([name, tensor.dtype]).toEqual([name, 'float32']);
    const weights = read(half.parameters['h.0.attn.c_attn.weight']!);
    const rounded = read(engine.tensor(weights, [weights.length], 'float16'));
    expect(weights).not.toEqual(rounded);
  });

  it('an overflowing scale skips updates and halves until they fit', () => {
    const wild = train('float16', 2 ** 24);
    expect(wild.skipped).toBeGreaterThan(0);
    expect(wild.scales.at(-1)).toBe(2 ** (24 - wild.skipped)); // one halving for each
    expect([...wild.scales].sort((a, b) => b - a)).toEqual(wild.scales);
    expect(Math.abs(wild.losses[19]! / full.losses[19]! - 1)).toBeLessThan(0.02);
  });
});
