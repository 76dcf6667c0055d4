// tfjs:node on TensorFlow's own library beyond conformance, where it is built: flat memory, interop, random numbers, quiet loading, and a build
// that is moved or whose library is gone.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type * as tfjs from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { add, createEngine, hostUniform, isXMoEError, matmul, multiply, sizeOf, type Engine, type Operand, type Tensor } from '@xmoe/core';
import { createFallbacks } from '@xmoe/core/backend';
import { asTfOp, fromTf, toTf, type TfjsBackend } from '@xmoe/backend-tfjs';
import { createTfjsBackendFor, loadTfjs } from '@xmoe/backend-tfjs/node';
import { nativeTensorflow } from './native.js';

const { available, reason } = await nativeTensorflow();
const ramp = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(i));

describe.skipIf(!available)(`on ${reason}`, () => {
  let backend: TfjsBackend;
  let engine: Engine;
  let tf: typeof tfjs;
  beforeAll(async () => {
    backend = await createTfjsBackendFor('node');
    tf = backend.tf as typeof tfjs;
    engine = createEngine(backend);
  });
  afterAll(() => engine.dispose());

  const operand = (shape: number[], data?: ArrayLike<number>): Operand => {
    const made = { buffer: backend.allocate('float32', sizeOf(shape)), shape, dtype: 'float32' as const };
    if (data) backend.write(made, data);
    return made;
  };
  /** Tensors of TensorFlow.js, their data, and TensorFlow's own handles. */
  const counts = (): number[] => {
    const { binding } = tf.engine().findBackend('tensorflow') as unknown as { binding: { getNumOfTensors(): number } };
    const { numTensors, numDataBuffers } = tf.engine().memory();
    return [numTensors, numDataBuffers, binding.getNumOfTensors()];
  };

  it('names TensorFlow and its device', () => {
    expect(backend.name).toBe('tfjs:node');
    expect(backend.description).toMatch(/^TensorFlow\.js 4\.22\.0 node \(TensorFlow 2\.\d+\.\d+, (CPU|GPU.*)\)$/);
  });

  it('keeps no tensor and no handle of a step', () => {
    const [parameter, m, v] = [operand([8192], ramp(8192)), operand([8192], new Float32Array(8192)), operand([8192], new Float32Array(8192))];
    const hyper = operand([10], [0.01, 0.9, 0.999, 1e-8, 0.1, 0.1, 0.001, 1, 0.1, 0.001]);
    const adamStep = backend.kernels.adamStep ?? createFallbacks(backend).adamStep;
    const step = (): void => {
      const [x, y, z] = [operand([64, 128]), operand([128, 64]), operand([128, 64])];
      backend.kernels.unary({ x: { ...parameter, shape: [64, 128] } }, { out: x }, { op: 'tanh' });
      backend.kernels.transpose({ x }, { out: y }, { permutation: [1, 0] });
      backend.kernels.binary({ a: y, b: y }, { out: z }, { op: 'multiply' });
      adamStep({ gradients: [{ ...z, shape: [8192] }], hyper }, { parameters: [parameter], m: [m], v: [v] }, { decay: true });
      [x, y, z].forEach((made) => backend.free(made.buffer));
    };
    for (let i = 0; i < 3; i++) step();
    const before = counts();
    for (let i = 0; i < 50; i++) step();
    expect(counts()).toEqual(before);
    [parameter, m, v, hyper].forEach((made) => backend.free(made.buffer));
  });

  it('does not lose its tensors to a surrounding tf.tidy', () => {
    const out = operand([2000]);
    tf.tidy(() => {
      const x = operand([2000], ramp(2000));
      backend.kernels.unary({ x }, { out }, { op: 'square' });
      backend.free(x.buffer);
      return [];
    });
    expect(backend.readSync!(out)[1]).toBeCloseTo(Math.sin(1) ** 2, 5);
    backend.free(out.buffer);
  });

  it('draws the random numbers of core to the bit', () => {
    const key = { buffer: backend.allocate('uint32', 2), shape: [2], dtype: 'uint32' as const };
    backend.write(key, [0x12345678, 0xfedcba98]);
    const out = operand([1001]);
    backend.kernels.random({ key }, { out }, { stream: 7 });
    expect(Array.from(backend.readSync!(out))).toEqual(Array.from(hostUniform([0x12345678, 0xfedcba98], 1001, 7)));
    [key, out].forEach((made) => backend.free(made.buffer));
  });

  it('goes to tf tensors and back, and what is shared is not written', async () => {
    await tf.setBackend('tensorflow');
    const source = tf.tensor2d([[1, 2, 3], [4, 5, 6]]);
    const tensor = fromTf(engine, source);
    expect(tensor.shape).toEqual([2, 3]);
    const back = toTf(tensor) as tfjs.Tensor;
    source.dispose();
    tensor.write([9, 9, 9, 9, 9, 9]);
    expect(Array.from(tensor.dataSync())).toEqual([9, 9, 9, 9, 9, 9]);
    tensor.dispose();
    expect(Array.from(back.dataSync())).toEqual([1, 2, 3, 4, 5, 6]);
    back.dispose();
    const given = new Float32Array([1, 2, 3, 4]);
    const x = engine.tensor(given, [2, 2]);
    const y = add(x, 0);
    given.fill(9);
    x.dataSync().fill(7);
    expect([...x.dataSync(), ...y.dataSync()]).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
    await loadTfjs({ build: 'cpu' });
    await tf.setBackend('cpu');
    expect(Array.from(fromTf(engine, tf.tensor1d([3, 1, 2], 'int32')).dataSync())).toEqual([3, 1, 2]);
    await tf.setBackend('tensorflow');
  });

  it('makes xmoe functions differentiable tf ops, without leaks', () => {
    const square = (x: Tensor): Tensor => multiply(x, x);
    const op = asTfOp(engine, (x, w) => square(matmul(x, w)));
    const run = (): number[][] => tf.tidy(() => {
      const [x, w, dy] = [[1, 2, 3, 4], [0.5, -1, 2, 0.25], [3, -1, 0.5, 2]].map((values) => tf.tensor2d(values, [2, 2]));
      const g = tf.mul(dy!, tf.mul(2, tf.matMul(x!, w!))) as tfjs.Tensor2D; // d(y²)/dy
      const expected = [tf.matMul(g, w!, false, true), tf.matMul(x!, g, true, false)];
      const ours = tf.grads((a: tfjs.Tensor, b: tfjs.Tensor) => op(a, b))([x!, w!], dy);
      return [...expected, ...ours].map((gradient) => Array.from(gradient.dataSync()));
    });
    const [dx, dw, oursX, oursW] = run();
    oursX!.forEach((value, i) => expect(value).toBeCloseTo(dx![i]!, 4));
    oursW!.forEach((value, i) => expect(value).toBeCloseTo(dw![i]!, 4));
    const before = [...counts(), engine.memory().bytes];
    for (let i = 0; i < 10; i++) run();
    expect([...counts(), engine.memory().bytes]).toEqual(before);
  });

  it('reports what does not fit as an error, and goes on', () => {
    let code: string | undefined;
    try {
      engine.scope(() => engine.full([2 ** 22, 2 ** 22], 1));
    } catch (error) {
      code = isXMoEError(error) ? error.code : (error as Error).message;
    }
    expect(code).toBeDefined();
    expect(Array.from(add(engine.ones([3]), 1).dataSync())).toEqual([2, 2, 2]);
  });

  it('writes nothing to the terminal, beside other builds in one process', () => {
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
    const program = `
      import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
      for (const build of ['wasm', 'node', 'cpu']) (await createTfjsBackendFor(build)).dispose();
      console.log('done');`;
    const args = ['--conditions=@xmoe/source', '--import', tsx, '--input-type=module', '--eval', program];
    const said = execFileSync('/bin/sh', ['-c', '"$0" "$@" 2>&1', process.execPath, ...args], { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } });
    expect(said.replace(/^\(node:\d+\).*\n(\(Use `node.*\n)?/gm, '')).toBe('done\n');
  });
});
