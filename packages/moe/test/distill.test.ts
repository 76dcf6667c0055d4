// What a gate is taught of its experts: the shares of their outputs and the distance to them, against loops on plain arrays.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, initializeParameters, isTrained, randomKey, sum, valueAndGrad, type Engine, type Parameters, type Tensor } from '@xmoe/core';
import { createMoeFeedForward, type MoeFeedForwardConfig } from '@xmoe/moe';
import { runExpert } from '../src/reference/layer.js';

const [T, N, d, s] = [6, 3, 4, 5];
const base: MoeFeedForwardConfig = {
  name: 'm', width: d, hidden: s, experts: N, router: { type: 'threshold', threshold: 0.5, equalWeights: true }, dispatch: 'grouped', initStd: 0.7, balanceCoefficient: 0, distillCoefficient: 0.5,
};
const mask = [true, false, true, true, true, true];

let engine: Engine;
let parameters: Record<string, Tensor>;
beforeAll(() => {
  engine = createEngine(createCpuBackend({ accumulate: 'float64' }));
  parameters = initializeParameters(engine, createMoeFeedForward(base).parameters, randomKey(5));
  parameters['m.experts.b2']!.write(Float32Array.from({ length: N * d }, (_, at) => Math.cos(at)));
});
afterAll(() => engine.dispose());

const values = (masked: boolean): number[] => Array.from({ length: T * d }, (_, at) => (masked && at === d ? NaN : Math.sin(3 * at)));

/** The loss, and the gradients by the gate and by the experts, of the layer itself. */
function taught(config: MoeFeedForwardConfig, masked: boolean, training = true) {
  const layer = createMoeFeedForward(config);
  const x = engine.tensor(values(masked), [T, d]);
  const context = { training, key: null, computeDType: 'float32', tokenIds: null, mask: masked ? engine.tensor(mask, [T], 'bool') : null, collect: 'nothing' } as const;
  if (!training) return { loss: layer.apply(parameters, x, context).auxLoss, gradients: {} as Parameters };
  return valueAndGrad(engine, (leaves: Record<string, Tensor>) => layer.apply(leaves, x, context).auxLoss ?? sum(engine.zeros([1])), parameters);
}

/** The same by loops: 0.5 times the mean KL(q ‖ p), and its gradient by the gate. */
async function expected(masked: boolean): Promise<{ loss: number; byGate: number[] }> {
  const entries = await Promise.all(Object.entries(parameters).map(async ([name, tensor]) => [name.slice('m.'.length), Array.from(await tensor.data())] as const));
  const { 'router.weight': gate, 'experts.w1': w1, 'experts.b1': b1, 'experts.w2': w2, 'experts.b2': b2 } = Object.fromEntries(entries) as Record<string, number[]>;
  const x = values(masked);
  const input = { T, N, d, s, x, parameters: { routerWeight: gate!, w1: w1!, b1: b1!, w2: w2!, b2: b2! }, route: () => { throw new Error('nothing is routed'); }, dispatch: 'grouped', capacityFactor: 1 } as const;
  const real = Array.from({ length: T }, (_, token) => token).filter((token) => !masked || mask[token]);
  let loss = 0;
  const byGate = new Array<number>(d * N).fill(0);
  for (const token of real) {
    const logits = Array.from({ length: N }, (_, expert) => Array.from({ length: d }, (_none, i) => x[token * d + i]! * gate![i * N + expert]!).reduce((a, b) => a + b));
    const total = logits.reduce((all, logit) => all + Math.exp(logit), 0);
    const norms = Array.from({ length: N }, (_, expert) => runExpert(input, token, expert).output.reduce((all, value) => all + value * value, 0));
    const norm = norms.reduce((a, b) => a + b);
    for (let expert = 0; expert < N; expert++) {
      const [p, q] = [Math.exp(logits[expert]!) / total, norms[expert]! / norm];
      loss += (0.5 * q * Math.log(q / p)) / real.length;
      for (let i = 0; i < d; i++) byGate[i * N + expert]! += (0.5 * (p - q) * x[token * d + i]!) / real.length;
    }
  }
  return { loss, byGate };
}

describe('distillation', () => {
  it.each([false, true])('is the distance of the gate to the experts’ shares, and moves the gate alone; masked %s', async (masked) => {
    const { loss, gradients } = taught(base, masked);
    const wanted = await expected(masked);
    expect(await loss!.item()).toBeCloseTo(wanted.loss, 5);
    expect(wanted.loss).toBeGreaterThan(0.05);
    const byGate = await gradients['m.router.weight']!.data();
    wanted.byGate.forEach((value, at) => expect(byGate[at]!).toBeCloseTo(value, 5));
    for (const part of ['w1', 'b1', 'w2', 'b2']) expect((await gradients[`m.experts.${part}`]!.data()).every((value) => value === 0), part).toBe(true);
  });

  it('is of training alone, and costs nothing where it is not asked for', () => {
    expect(taught(base, false, false).loss).toBeNull();
    expect(createMoeFeedForward(base).parameters.filter(isTrained)).toHaveLength(5);
    expect(() => createMoeFeedForward({ ...base, distillCoefficient: -1 })).toThrow('distillCoefficient is -1, below 0');
  });

  it('refuses gates without a probability for each expert, and experts over ranks', () => {
    for (const router of [{ type: 'base' }, { type: 'hash', seed: 1, vocabularySize: 4 }, { type: 'null-experts', k: 2, target: 1, nullExperts: 2 }] as const) {
      expect(() => createMoeFeedForward({ ...base, router })).toThrow(`the ${router.type} router has no probability for each expert`);
    }
    const ranks = { rank: 0, size: 2 } as unknown as NonNullable<MoeFeedForwardConfig['ranks']>;
    expect(() => createMoeFeedForward({ ...base, ranks })).toThrow('experts are spread over ranks');
  });
});
