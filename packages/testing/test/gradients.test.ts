// Every differentiable op of core against central differences in float64, on native kernels and on core's fallbacks.
import { createCpuBackend } from '@xmoe/backend-cpu';
import * as core from '@xmoe/core';
import { createEngine, type AnyKernel, type Backend, type Engine } from '@xmoe/core';
import { createFallbacks } from '@xmoe/core/backend';
import { checkGradients, withoutFused } from '@xmoe/testing';
import { afterAll, describe, expect, it } from 'vitest';
import * as ops from '../../core/src/ops/index.js';
import { gradientCase, int32, type CaseTable, type GradientCase } from './gradient-cases/case.js';
import { ELEMENTWISE } from './gradient-cases/elementwise.js';
import { MOVEMENT } from './gradient-cases/movement.js';
import { NETWORK } from './gradient-cases/network.js';

const CASES: CaseTable = { ...ELEMENTWISE, ...MOVEMENT, ...NETWORK };

const float64 = (): Backend => createCpuBackend({ accumulate: 'float64' });
const ENGINES: readonly (readonly [string, Engine])[] = [
  ['native kernels', createEngine(float64())],
  ['fallbacks', createEngine(withoutFused(float64()))],
];

afterAll(() => {
  for (const [, engine] of ENGINES) engine.dispose();
});

const check = (engine: Engine, { fn, inputs }: GradientCase): Promise<string[]> => checkGradients(engine, (tensors) => fn(tensors, engine), inputs);

describe('F24: the list of gradient cases', () => {
  it('has a row for every op, and for nothing else', () => {
    const names = Object.entries(ops).filter(([, value]) => typeof value === 'function').map(([name]) => name);
    expect(Object.keys(CASES).sort()).toEqual(names.sort());
    expect(Object.entries(CASES).filter(([, cases]) => cases.length === 0)).toEqual([]);
  });

  it('runs on fallbacks where it says so', () => {
    expect(ENGINES[0]![1].fallbackNames).toEqual([]);
    expect(ENGINES[1]![1].fallbackNames.length).toBe(Object.keys(createFallbacks(float64())).length);
  });
});

describe('the checker', () => {
  const [, engine] = ENGINES[0]!;
  const wrong = (factor: number) => gradientCase('wrong', ([x]) =>
    core.customGradient('wrong', [x!], () => ({ outputs: core.multiply(x!, 2), saved: [] }), ([dy]) => [core.multiply(dy!, factor)]), [3]);

  it('sees a gradient that is off by a thousandth', async () => {
    expect(await check(engine, wrong(2))).toEqual([]);
    expect((await check(engine, wrong(2.002))).length).toBe(3);
  });

  it('sees buffers that are left behind', async () => {
    const problems = await check(engine, gradientCase('leaky', ([x]) => {
      engine.zeros([2]).keep();
      return core.exp(x!);
    }, [1]));
    expect(problems).toEqual([expect.stringContaining('buffers are left behind')]);
  });
});

describe.each([
  ['native forward, fallback backward', (name: string) => name.endsWith('Grad')],
  ['fallback forward, native backward', (name: string) => !name.endsWith('Grad')],
] as const)('gradients on %s', (_, drop) => {
  it.each(['softmax', 'crossEntropy', 'layerNorm', 'biasActivation', 'attention', 'groupedLinear', 'combineExperts'])('%s: what one saves the other reads', async (name) => {
    const engine = createEngine(withoutFused(float64(), drop));
    for (const item of CASES[name] as readonly GradientCase[]) expect([item.label, await check(engine, item)]).toEqual([item.label, []]);
    engine.dispose();
  });
});

describe.each(ENGINES)('gradients on %s', (_, engine) => {
  for (const [name, cases] of Object.entries(CASES)) {
    if (cases === 'no gradient') continue;
    it.each(cases.map((item) => [item.label, item] as const))(`${name}: %s`, async (_label, item) => {
      expect(await check(engine, item)).toEqual([]);
    });
  }

  it.each([['sign', core.sign], ['floor', core.floor], ['ceil', core.ceil]] as const)('%s lets no gradient through', (_name, op) => {
    const gradient = core.grad(engine, (x: core.Tensor) => core.sum(op(x)), engine.tensor([0.3, -1.7]));
    expect([...gradient.dataSync()]).toEqual([0, 0]);
  });

  it('whole numbers carry no gradient', () => {
    const gradient = core.grad(engine, (x: core.Tensor) => core.sum(core.cast(core.cast(x, 'int32'), 'float32')), engine.tensor([0.3, -1.7]));
    expect([...gradient.dataSync()]).toEqual([0, 0]);
  });

  it('equal extremes share the gradient; of two equal arguments the first gets it', () => {
    const x = engine.tensor([3, 1, 3, 1, 1, 0], [2, 3]);
    const gradientOf = (fn: (x: core.Tensor) => core.Tensor): number[] => [...core.grad(engine, (input: core.Tensor) => core.sum(fn(input)), x).dataSync()];
    expect(gradientOf((input) => core.max(input, 1))).toEqual([0.5, 0, 0.5, 0.5, 0.5, 0]);
    expect(gradientOf((input) => core.min(input))).toEqual([0, 0, 0, 0, 0, 1]);
    expect(gradientOf((input) => core.maximum(input, 1))).toEqual([1, 1, 1, 1, 1, 0]);
    expect(gradientOf((input) => core.minimum(1, input))).toEqual([0, 0, 0, 0, 0, 1]);
    expect(gradientOf((input) => core.relu(core.subtract(input, 1)))).toEqual([1, 0, 1, 0, 0, 0]);
  });

  it('checkpoint and customGradient', async () => {
    const block = ([x, w, b]: readonly core.Tensor[]): core.Tensor => core.gelu(core.add(core.matmul(core.layerNorm(x!, b!, b!), w!), b!));
    const closure = gradientCase('checkpoint with a closure', ([x, w, b]) =>
      core.multiply(core.checkpoint(engine, (input) => block([input, w!, b!]), [x!]), core.checkpoint(engine, (input) => core.exp(input), [x!])), [2, 3], [3, 3], [3]);
    const nested = gradientCase('checkpoint in a checkpoint', ([x, w, b]) =>
      core.checkpoint(engine, (input) => core.square(core.checkpoint(engine, (inner) => block([inner, w!, b!]), [core.tanh(input)])), [x!]), [2, 3], [3, 3], [3]);
    const custom = gradientCase('customGradient of two outputs', ([x, y]) => {
      const [left, right] = core.customGradient('pair', [x!, y!],
        () => ({ outputs: [core.multiply(x!, y!), core.add(x!, y!)] as const, saved: [x!, y!] }),
        ([d0, d1], [a, b]) => [core.add(core.multiply(d0!, b!), d1!), core.add(core.multiply(d0!, a!), d1!)]);
      return core.multiply(left, core.sin(right));
    }, [3], [3]);
    for (const item of [closure, nested, custom]) expect([item.label, await check(engine, item)]).toEqual([item.label, []]);
  });

  it.each([{}, { labelSmoothing: 0.1 }])('linearCrossEntropy is the same in chunks, with %o', (options) => {
    const parameters = { h: engine.tensor(core.hostNormal([1, 2], 15), [5, 3]), w: engine.tensor(core.hostNormal([3, 4], 33), [11, 3]) };
    const run = (chunk: number): number[] => engine.scope(() => {
      const { loss, gradients } = core.valueAndGrad(engine, ({ h, w }: typeof parameters) =>
        core.sum(core.linearCrossEntropy(h, w, int32(engine, [10, -1, 0, 4, 7]), { ...options, chunk })), parameters);
      return [loss, gradients.h, gradients.w].flatMap((tensor) => [...tensor.dataSync()]);
    });
    const whole = run(11);
    for (const chunk of [1, 2, 4, 5, 10, 100]) run(chunk).forEach((value, index) => expect(value).toBeCloseTo(whole[index]!, 10));
  });

  it('a look-up adds to the gradient that a tied projection left, where the backend has a kernel for it', () => {
    const called: string[] = [];
    const noted = Object.fromEntries(Object.entries(engine.backend.kernels).map(([name, kernel]) => [name, (...call: Parameters<AnyKernel>) => {
      called.push(name);
      (kernel as unknown as AnyKernel)(...call);
    }])) as unknown as Backend['kernels'];
    const counting = createEngine({ ...engine.backend, kernels: noted });
    core.valueAndGrad(counting, ({ w }) => core.sum(core.matmul(core.gatherRows(w, int32(counting, [2, 0])), w, { transposeB: true })), { w: counting.ones([3, 2]) });
    const own = 'addRows' in engine.backend.kernels;
    expect(called.filter((name) => /[aA]ddRows/.test(name))).toEqual([own ? 'addRows' : 'scatterAddRows']);
  });

  it('linearCrossEntropy keeps up to 2²⁴ logits, and makes more of them again', () => {
    const products = (rows: number, vocabulary: number): number => {
      const called: string[] = [];
      const real = float64();
      // Executes nothing, so that sizes cost nothing.
      const kernels = Object.fromEntries(Object.keys(real.kernels).map((name) => [name, () => void called.push(name)])) as unknown as Backend['kernels'];
      const idle = createEngine({ ...real, kernels, allocate: () => ({}), free: () => undefined, write: () => undefined });
      const parameters = { h: idle.empty([rows, 1]), w: idle.empty([vocabulary, 1]) };
      core.valueAndGrad(idle, ({ h, w }: typeof parameters) => core.sum(core.linearCrossEntropy(h, w, idle.empty([rows], 'int32'))), parameters);
      return called.filter((name) => name === 'matmul').length;
    };
    expect(products(256, 65536)).toBe(3); // logits, and both gradients
    expect(products(256, 65537)).toBe(4 * 3); // three chunks, whose logits are made twice
  });
});
