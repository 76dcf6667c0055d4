// fromTf, toTf and asTfOp: sharing without copies, copy on write, gradients through tf.
import { createRequire } from 'node:module';
import type * as tfjs from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import * as core from '@xmoe/core';
import { createFallbacks } from '@xmoe/core/backend';
import { asTfOp, createTfjsBackend, fromTf, toTf } from '@xmoe/backend-tfjs';
import { createTfjsBackendFor, loadTfjs } from '@xmoe/backend-tfjs/node';

await loadTfjs({ build: 'cpu' });
await loadTfjs({ build: 'wasm' });
const tf = createRequire(import.meta.url)('@tensorflow/tfjs-core') as typeof tfjs;

const modes = [
  ['wasm', 'wasm', await createTfjsBackendFor('wasm')],
  ['cpu', 'cpu', await createTfjsBackendFor('cpu')],
  ['device', 'cpu', createTfjsBackend(tf, { backendName: 'cpu', mode: 'device' })],
] as const;

describe.each(modes)('interop on %s', (_, selected, backend) => {
  const engine = core.createEngine(backend);
  const square = (x: core.Tensor): core.Tensor => core.multiply(x, x);

  it('goes there and back without a copy', async () => {
    await tf.setBackend(selected);
    const source = tf.tensor2d([[1, 2, 3], [4, 5, 6]]);
    const tensor = fromTf(engine, source);
    expect(tensor.shape).toEqual([2, 3]);
    const back = toTf(tensor);
    expect(back.shape).toEqual([2, 3]);
    expect(back.dataId).toBe(source.dataId);
    source.dispose();
    tensor.dispose();
    expect(Array.from(back.dataSync())).toEqual([1, 2, 3, 4, 5, 6]);
    back.dispose();
  });

  it('does not change a tf tensor when xmoe writes in place', async () => {
    await tf.setBackend(selected);
    const [parameter, m, v] = [1, 0, 0].map((value) => engine.full([8192], value));
    const view = toTf(parameter);
    const hyper = engine.tensor([0.5, 0.9, 0.999, 1e-8, 0, 0.1, 0.001, 1, 0.1, 0.001]);
    const { adamStep } = createFallbacks(backend);
    (backend.kernels.adamStep ?? adamStep)(
      { gradients: [engine.ones([8192])], hyper },
      { parameters: [parameter], m: [m], v: [v] }, { decay: false },
    );
    expect(view.dataSync()[5]).toBe(1);
    expect(parameter.dataSync()[5]).toBeCloseTo(0.5, 5);
    view.dispose();
  });

  it('takes tensors of another build by copy', async () => {
    await tf.setBackend(selected === 'wasm' ? 'cpu' : 'wasm');
    const foreign = tf.tensor1d([3, 1, 2], 'int32');
    const tensor = fromTf(engine, foreign);
    expect(Array.from(tensor.dataSync())).toEqual([3, 1, 2]);
    expect(tensor.dtype).toBe('int32');
    foreign.dispose();
  });

  it('makes xmoe functions differentiable tf ops, without leaks', async () => {
    await tf.setBackend(selected);
    const op = asTfOp(engine, (x, w) => square(core.matmul(x, w)));
    const run = (): number[][] =>
      tf.tidy(() => {
        const [x, w, dy] = [[1, 2, 3, 4], [0.5, -1, 2, 0.25], [3, -1, 0.5, 2]].map((values) => tf.tensor2d(values, [2, 2]));
        const g = tf.mul(dy, tf.mul(2, tf.matMul(x, w))) as tfjs.Tensor2D; // d(y²)/dy
        const expected = [tf.matMul(g, w, false, true), tf.matMul(x, g, true, false)];
        const ours = tf.grads((a: tfjs.Tensor, b: tfjs.Tensor) => op(a, b))([x, w], dy);
        return [...expected, ...ours].map((gradient) => Array.from(gradient.dataSync()));
      });
    const [dx, dw, oursX, oursW] = run();
    oursX.forEach((value, i) => expect(value).toBeCloseTo(dx[i], 4));
    oursW.forEach((value, i) => expect(value).toBeCloseTo(dw[i], 4));
    expect(dx.some((value) => value !== 0)).toBe(true);
    const before = [tf.memory().numTensors, engine.memory().bytes];
    for (let i = 0; i < 10; i++) run();
    expect([tf.memory().numTensors, engine.memory().bytes]).toEqual(before);
  });
});

describe('interop errors', () => {
  it('names the dtype that has no counterpart', () => {
    const backend = modes[1][2];
    const words = { buffer: backend.allocate('uint32', 2), shape: [2], dtype: 'uint32' as const };
    expect(() => toTf(words, backend)).toThrow(/uint32/);
    expect(() => fromTf(core.createEngine(backend), tf.tensor1d(['a']))).toThrow(/string/);
  });
});
