// Gradients of weights in half precision are sums in float32: 2,049 ones are 2,049, which float16 would make 2,048.
import { describe, expect, it } from 'vitest';
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createWebGpuBackend } from '@xmoe/backend-webgpu';
import { cast, createEngine, linearCrossEntropy, matmul, matmulWeight, sum, valueAndGrad, type Backend, type Tensor } from '@xmoe/core';
import { createDenseFeedForward } from '@xmoe/nn';
import { webGpuAdapter } from '../../backend-webgpu/test/adapter.js';

const R = 2049;
const adapter = await webGpuAdapter();
const BACKENDS: [string, () => Backend | Promise<Backend>][] = [
  ['cpu:plain', createCpuBackend], ['cpu:wasm', () => createWasmBackend()], ...(adapter.available && adapter.float16 ? [['webgpu', () => createWebGpuBackend()] as [string, () => Promise<Backend>]] : []),
];

describe.each(BACKENDS)('in half precision on %s', (_, create) => {
  it('a dense layer', async () => {
    const engine = createEngine(await create());
    const layer = createDenseFeedForward({ name: 'mlp', width: 4, hidden: 8, activation: 'relu', std: 1, outputStd: 1 });
    // relu(0·x + 1): every row of what the second weight multiplies is 1.
    const parameters = Object.fromEntries(layer.parameters.map(({ name, shape }) => [name, engine.full(shape, name === 'mlp.c_fc.bias' ? 1 : 0)]));
    const x = engine.ones([R, 4], 'float16');
    const context = { training: true, key: null, computeDType: 'float16', tokenIds: null, mask: null, collect: 'nothing' } as const;
    const { gradients } = valueAndGrad(engine, (weights: Record<string, Tensor>) => sum(cast(layer.apply(weights, x, context).output, 'float32')), parameters);
    const gradient = gradients['mlp.c_proj.weight']!;
    expect(gradient.dtype).toBe('float32');
    expect(new Set(await gradient.data())).toEqual(new Set([R]));
    engine.dispose();
  });

  it('a weight that is in half precision itself is multiplied as it is', async () => {
    const engine = createEngine(await create());
    const weight = engine.tensor([1, 2, 3, 4, 5, 6], [3, 2], 'float16');
    for (const dtype of ['float16', 'float32'] as const) {
      const y = matmulWeight(engine.ones([2, 3], dtype), weight);
      expect(y.dtype).toBe(dtype);
      expect([...await y.data()]).toEqual([9, 12, 9, 12]);
    }
    engine.dispose();
  });

  it('the projection onto the vocabulary, in one chunk and in several', async () => {
    const engine = createEngine(await create());
    // Equal logits of three words: the gradient of a word that is no target is h / 3 in every row.
    const h = engine.full([R, 4], 3, 'float16');
    const targets = engine.zeros([R], 'int32');
    for (const chunk of [3, 1]) {
      const { gradients: { w } } = valueAndGrad(engine, ({ w }) => sum(linearCrossEntropy(h, w, targets, { chunk })), { w: engine.zeros([3, 4]) });
      expect(w.dtype).toBe('float32');
      const third = 0.333251953125; // in float16, as the product sees it
      for (const value of (await w.data()).slice(4)) expect(Math.abs(value / (R * 3 * third) - 1)).toBeLessThan(2e-5);
    }
    engine.dispose();
  });

  it('of either layout are those of a cast weight otherwise', async () => {
    const engine = createEngine(await create());
    for (const transposeB of [false, true]) {
      const x = cast(engine.tensor(Float32Array.from({ length: 60 }, (_, i) => Math.sin(i)), [12, 5]), 'float16');
      const w = engine.tensor(Float32Array.from({ length: 35 }, (_, i) => Math.cos(i)), transposeB ? [7, 5] : [5, 7]);
      const of = (product: (x: Tensor, w: Tensor) => Tensor) => valueAndGrad(engine, ({ x, w }) => sum(cast(product(x, w), 'float32')), { x, w }).gradients;
      const [found, expected] = [of((a, b) => matmulWeight(a, b, { transposeB })), of((a, b) => matmul(a, cast(b, 'float16'), { transposeB }))];
      expect(await found.x.data()).toEqual(await expected.x.data());
      const exact = await expected.w.data();
      (await found.w.data()).forEach((value, i) => expect(Math.abs(value - exact[i]!)).toBeLessThanOrEqual(2 ** -11 * Math.abs(value)));
    }
    engine.dispose();
  });
});
