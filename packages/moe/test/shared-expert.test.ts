// A layer with a shared expert is the layer without it and a dense layer, summed: output and all gradients, with padding that may hold anything.
import { describe, expect, it } from 'vitest';
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { add, createEngine, initializeParameters, multiply, randomKey, reshape, sum, valueAndGrad, type Engine, type ForwardContext, type Parameters, type Tensor } from '@xmoe/core';
import { createMoeFeedForward } from '@xmoe/moe';

const [T, width, hidden] = [7, 4, 5];
const base = { name: 'm', width, hidden: 3, experts: 4, router: { type: 'topk', k: 2 }, dispatch: 'grouped', initStd: 0.7, activation: 'relu' } as const;
const mask = [true, true, false, true, true, false, true];
const PARTS = ['w1', 'b1', 'w2', 'b2'];

/** Output, and gradients of Σ y² by everything, of `layer` on leaves of the layer with a shared expert. */
async function gradientsOf(engine: Engine, masked: boolean, layer: (parameters: Parameters, x: Tensor, context: ForwardContext) => Tensor): Promise<{ output: number[]; gradients: Record<string, number[]> }> {
  const drawn = initializeParameters(engine, createMoeFeedForward({ ...base, sharedHidden: hidden }).parameters, randomKey(3));
  // Biases are 0 at first, and then what comes of padding is too.
  const parameters = Object.fromEntries(Object.entries(drawn).map(([name, tensor]) => [name, /b[12]$/.test(name) ? engine.tensor(Array.from({ length: tensor.size }, (_, at) => Math.cos(at)), tensor.shape) : tensor]));
  const values = Array.from({ length: T * width }, (_, at) => Math.sin(at));
  if (masked) values[2 * width] = NaN;
  const x = engine.tensor(values, [T, width]);
  const context = { training: true, key: null, computeDType: 'float32', tokenIds: null, mask: masked ? engine.tensor(mask, [T], 'bool') : null, collect: 'nothing' } as const;
  const { aux, gradients } = valueAndGrad(engine, (leaves) => {
    const { x: input, ...own } = leaves as { x: Tensor };
    const output = layer(own, input, context);
    return { loss: sum(multiply(output, output)), aux: output };
  }, { ...parameters, x });
  const read = await Promise.all(Object.entries(gradients).map(async ([name, gradient]) => [name, Array.from(await gradient.data())] as const));
  return { output: Array.from(await aux.data()), gradients: Object.fromEntries(read) };
}

const shared = createMoeFeedForward({ ...base, sharedHidden: hidden });
const routed = createMoeFeedForward(base);
/** A dense layer as one expert that every token takes. */
const dense = createMoeFeedForward({ ...base, name: 'd', hidden, experts: 1, router: { type: 'uniform', k: 1, gate: false } });

const ofOneExpert = (tensor: Tensor): Tensor => reshape(tensor, [1, ...tensor.shape]);

describe.each([['cpu in float64', () => createCpuBackend({ accumulate: 'float64' })], ['cpu:wasm', () => createWasmBackend({ threads: 1 })]] as const)('on %s', (_name, create) => {
  it.each([false, true])('masked %s', async (masked) => {
    const engine = createEngine(await create());
    try {
      const actual = await gradientsOf(engine, masked, (parameters, x, context) => shared.apply(parameters, x, context).output);
      const expected = await gradientsOf(engine, masked, (parameters, x, context) => {
        const own = Object.fromEntries(PARTS.map((part) => [`d.experts.${part}`, ofOneExpert(parameters[`m.shared.${part}`]!)]));
        return add(routed.apply(parameters, x, context).output, dense.apply(own, x, context).output);
      });
      expect(Object.keys(actual.gradients).filter((name) => name.startsWith('m.shared'))).toHaveLength(4);
      for (const [name, values] of [['output', expected.output], ...Object.entries(expected.gradients)] as const) {
        const own = name === 'output' ? actual.output : actual.gradients[name]!;
        own.forEach((value, at) => expect(Math.abs(value - values[at]!), `${name}[${at}]`).toBeLessThan(1e-4 * (1 + Math.abs(values[at]!))));
      }
      expect(actual.gradients['m.shared.b1']!.some((value) => value !== 0)).toBe(true);
      if (masked) for (const values of [actual.output, actual.gradients.x!]) expect(values.slice(2 * width, 3 * width)).toEqual(new Array(width).fill(0));
    } finally {
      engine.dispose();
    }
  });
});
