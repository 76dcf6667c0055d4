// Schedules, AdamW against plain arrays, and the loss scale.
import { afterAll, describe, expect, it } from 'vitest';
import type { ParameterSpec, Tensor } from '@xmoe/core';
import { createAdamW, DEFAULT_LOSS_SCALE, globalNorm, isFiniteNorm, learningRateAt, nextLossScale, type AdamWConfig, type ScheduleConfig } from '@xmoe/nn';
import { expectClose, float64, normal, read } from './tiny.js';

describe('learningRateAt', () => {
  const cosine: ScheduleConfig = { type: 'cosine', peak: 4, final: 0.5, warmupSteps: 10, totalSteps: 110 };
  it('warms up linearly to the peak', () => {
    for (const type of ['cosine', 'inverse-square-root', 'constant'] as const) {
      expect([0, 4, 9].map((step) => learningRateAt({ ...cosine, type } as ScheduleConfig, step))).toEqual([0.4, 2, 4]);
    }
  });

  it('cosine: half-way in the middle, exactly final in the last update and after it, never rising', () => {
    expect(learningRateAt(cosine, 59)).toBeCloseTo(2.25, 12);
    expect([109, 110, 1000].map((step) => learningRateAt(cosine, step))).toEqual([0.5, 0.5, 0.5]);
    for (let step = 10; step < 120; step++) expect(learningRateAt(cosine, step)).toBeLessThanOrEqual(learningRateAt(cosine, step - 1));
  });

  it('inverse square root: peak·√(warm-up / update)', () => {
    const schedule: ScheduleConfig = { type: 'inverse-square-root', peak: 4, warmupSteps: 10 };
    expect(learningRateAt(schedule, 39)).toBeCloseTo(2, 12);
    expect(learningRateAt(schedule, 999)).toBeCloseTo(0.4, 12);
    expect(learningRateAt({ ...schedule, warmupSteps: 0 }, 0)).toBe(4);
    expect(learningRateAt({ ...schedule, warmupSteps: 0 }, 3)).toBe(2);
  });

  it('constant stays at the peak; no warm-up and a warm-up of everything are fine', () => {
    expect(learningRateAt({ type: 'constant', peak: 4, warmupSteps: 0 }, 0)).toBe(4);
    expect(learningRateAt({ type: 'constant', peak: 4, warmupSteps: 5 }, 10 ** 6)).toBe(4);
    expect(learningRateAt({ ...cosine, warmupSteps: 110 }, 109)).toBe(4);
    expect(learningRateAt({ ...cosine, warmupSteps: 0, totalSteps: 1 }, 0)).toBe(0.5);
  });
});

describe('createAdamW', () => {
  const engine = float64();
  afterAll(() => engine.dispose());
  const spec = (name: string, shape: number[], decay: boolean): ParameterSpec => ({ name, shape, decay, init: { kind: 'zeros' } });
  const specs = [spec('w', [3, 2], true), spec('b', [2], false)];
  const config: AdamWConfig = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clipNorm: 1 };
  type Arrays = Record<string, Float64Array>;
  const arrays = (label: string): Arrays => ({ w: normal(`${label}w`, 6), b: normal(`${label}b`, 2) });
  const upload = (values: Arrays): Record<string, Tensor> =>
    Object.fromEntries(specs.map(({ name, shape }) => [name, engine.tensor(values[name]!, shape).keep()]));
  const norm = (values: Arrays): number => Math.sqrt([...values.w!, ...values.b!].reduce((sum, value) => sum + value * value, 0));

  /** Loshchilov and Hutter 2019, Algorithm 2, with clipping by the global norm. */
  function referenceStep(state: { p: Arrays; m: Arrays; v: Arrays }, gradients: Arrays, learningRate: number, t: number, { beta1, beta2, epsilon, weightDecay, clipNorm }: AdamWConfig): void {
    const clip = clipNorm > 0 ? Math.min(1, clipNorm / (norm(gradients) + 1e-6)) : 1;
    for (const { name, decay } of specs) {
      const [p, m, v] = [state.p[name]!, state.m[name]!, state.v[name]!];
      p.forEach((value, index) => {
        const g = gradients[name]![index]! * clip;
        m[index] = beta1 * m[index]! + (1 - beta1) * g;
        v[index] = beta2 * v[index]! + (1 - beta2) * g * g;
        const direction = m[index]! / (1 - beta1 ** t) / (Math.sqrt(v[index]! / (1 - beta2 ** t)) + epsilon);
        p[index] = value - learningRate * (direction + (decay ? weightDecay * value : 0));
      });
    }
  }

  it.each([[1, 1], [1, 1024], [0, 1], [100, 1]])('equals plain arrays over five steps, with clipping at %d and a loss scale of %d', (clipNorm, lossScale) => {
    const own = { ...config, clipNorm };
    const adam = createAdamW(engine, specs, own);
    const zeros = (): Arrays => ({ w: new Float64Array(6), b: new Float64Array(2) });
    const state = { p: arrays('p'), m: zeros(), v: zeros() };
    const parameters = upload(state.p);
    for (let step = 1; step <= 5; step++) {
      const gradients = arrays(`g${step}`);
      const scaled = Object.fromEntries(Object.entries(gradients).map(([name, values]) => [name, values.map((value) => value * lossScale)]));
      const before = norm(gradients);
      const measured = adam.step(parameters, upload(scaled), { learningRate: 0.1 / step, step, lossScale });
      expectClose(read(measured), [before]);
      referenceStep(state, gradients, 0.1 / step, step, own);
    }
    for (const { name } of specs) {
      expectClose(read(parameters[name]!), state.p[name]!);
      expectClose(read(adam.firstMoments[name]!), state.m[name]!);
      expectClose(read(adam.secondMoments[name]!), state.v[name]!);
    }
  });

  it('decays only what asks for it', () => {
    const parameters = upload({ w: new Float64Array(6).fill(2), b: new Float64Array(2).fill(2) });
    const { step } = createAdamW(engine, specs, config); // also taken off its object
    step(parameters, upload({ w: new Float64Array(6), b: new Float64Array(2) }), { learningRate: 0.5, step: 1 });
    expectClose(read(parameters.w!), new Array(6).fill(2 - 0.5 * 0.1 * 2));
    expect(read(parameters.b!)).toEqual([2, 2]);
  });

  it.each([Number.NaN, Infinity, -Infinity])('one gradient of %d skips everything: parameters, moments and decay', (bad) => {
    const adam = createAdamW(engine, specs, config);
    const parameters = upload(arrays('p'));
    adam.step(parameters, upload(arrays('g1')), { learningRate: 0.1, step: 1 });
    const everything = (): number[] => [parameters, adam.firstMoments, adam.secondMoments].flatMap((group) => specs.flatMap(({ name }) => read(group[name]!)));
    const before = everything();
    const gradients = arrays('g2');
    gradients.b![1] = bad;
    const [measured] = read(adam.step(parameters, upload(gradients), { learningRate: 0.1, step: 2 }));
    expect(isFiniteNorm(measured!)).toBe(false);
    expect(everything()).toEqual(before);
    adam.step(parameters, upload(arrays('g3')), { learningRate: 0.1, step: 2 });
    expect(everything()).not.toEqual(before);
    expect(everything().every(Number.isFinite)).toBe(true);
  });

  it('names a parameter without a gradient, and frees all it made', () => {
    const before = engine.memory().buffers;
    const adam = createAdamW(engine, specs, config);
    const parameters = upload(arrays('p'));
    expect(() => adam.step(parameters, { w: parameters.w! }, { learningRate: 0.1, step: 1 })).toThrow('there is no parameter b');
    adam.step(parameters, parameters, { learningRate: 0.1, step: 1 }).dispose();
    adam.dispose();
    for (const tensor of Object.values(parameters)) tensor.dispose();
    expect(engine.memory().buffers).toBe(before);
  });

  it('globalNorm is √Σ over all tensors', () => {
    expectClose(read(globalNorm(engine, [engine.tensor([3, 0]), engine.tensor([4], [1, 1])])), [5]);
    expect([1e38, 0, 2.9e38].map(isFiniteNorm)).toEqual([true, true, true]);
    expect([3e38, Infinity, Number.NaN].map(isFiniteNorm)).toEqual([false, false, false]);
  });
});

describe('nextLossScale', () => {
  const config = { initial: 8, growthInterval: 3, minimum: 2, maximum: 16 };
  const after = (pattern: string) => [...pattern].reduce((state, step) => nextLossScale(state, step === '.', config), { scale: 8, goodSteps: 0 });

  it('doubles after a quiet interval, halves at an overflow and starts counting again', () => {
    expect(after('..')).toEqual({ scale: 8, goodSteps: 2 });
    expect(after('...')).toEqual({ scale: 16, goodSteps: 0 });
    expect(after('..x')).toEqual({ scale: 4, goodSteps: 0 });
    expect(after('..x..')).toEqual({ scale: 4, goodSteps: 2 });
    expect(after('..x...')).toEqual({ scale: 8, goodSteps: 0 });
  });

  it('stays between its bounds', () => {
    expect(after('.........').scale).toBe(16);
    expect(after('xxxxxx').scale).toBe(2);
    expect(DEFAULT_LOSS_SCALE).toEqual({ initial: 32768, growthInterval: 1000, minimum: 1, maximum: 2 ** 24 });
  });
});
