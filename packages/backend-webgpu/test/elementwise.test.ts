// What the conformance cases of the element-wise kernels leave open: NaN and infinities, far arguments, and how many launches lists
// and pieces take.
import { createCpuBackend } from '@xmoe/backend-cpu';
import {
  createEngine, type Backend, type BinaryOp, type CompareOp, type DType, type Kernels, type Operand, type UnaryOp,
} from '@xmoe/core';
import { afterAll, describe, expect, it } from 'vitest';
import { createWebGpuBackend, type WebGpuBackend } from '../src/index.js';
import { webGpuAdapter } from './adapter.js';

const { available, reason } = await webGpuAdapter();
const cpu = createCpuBackend();

const operand = (backend: Backend, values: readonly number[], dtype: DType = 'float32'): Operand => {
  const made = { buffer: backend.allocate(dtype, values.length), shape: [values.length], dtype };
  backend.write(made, values);
  return made;
};

/** What `run` writes into an operand of `length`. */
async function result(backend: Backend, length: number, dtype: DType, run: (kernels: Kernels, out: Operand) => void): Promise<number[]> {
  const out = operand(backend, new Array<number>(length).fill(7), dtype);
  run(backend.kernels as Kernels, out);
  return Array.from(await backend.read(out));
}

const ODD = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 3.4e38, 1e-30];
/** Every pair of ODD. */
const LEFT = ODD.flatMap((value) => ODD.map(() => value));
const RIGHT = ODD.flatMap(() => ODD);

describe.skipIf(!available)(`on ${reason}`, async () => {
  const backend: WebGpuBackend = available ? await createWebGpuBackend() : (undefined as never);
  afterAll(() => backend?.dispose());

  it.each<UnaryOp>([
    'negate', 'abs', 'sign', 'relu', 'exp', 'log', 'sqrt', 'rsqrt', 'reciprocal', 'tanh', 'erf', 'sigmoid', 'square', 'floor', 'ceil',
  ])('%s hands NaN and infinities on', async (op) => {
    const run = (one: Backend) => result(one, ODD.length, 'float32', (kernels, out) => kernels.unary({ x: operand(one, ODD) }, { out }, { op }));
    const [found, wanted] = [await run(backend), await run(cpu)];
    found.forEach((value, index) => expect(value, `${op}(${ODD[index]})`).toSatisfy((it: number) => near(it, wanted[index]!)));
  });

  it.each<BinaryOp>(['maximum', 'minimum', 'add', 'subtract', 'multiply'])('%s of NaN, infinities and zeros', async (op) => {
    const run = (one: Backend) => result(one, LEFT.length, 'float32', (kernels, out) => kernels.binary(
      { a: operand(one, LEFT), b: operand(one, RIGHT) },
      { out }, { op },
    ));
    const [found, wanted] = [await run(backend), await run(cpu)];
    found.forEach((value, index) => expect(value, `${op}(${LEFT[index]}, ${RIGHT[index]})`).toSatisfy((it: number) => near(it, wanted[index]!)));
  });

  it.each<CompareOp>(['equal', 'notEqual', 'less', 'lessEqual', 'greater', 'greaterEqual'])('%s of NaN, infinities and zeros', async (op) => {
    const run = (one: Backend) => result(one, LEFT.length, 'bool', (kernels, out) => kernels.compare(
      { a: operand(one, LEFT), b: operand(one, RIGHT) },
      { out }, { op },
    ));
    expect(await run(backend)).toEqual(await run(cpu));
  });

  it('takes powers of negative numbers', async () => {
    const bases = [-2, -2, -2, -0.5, 0, 0, 3, -3, 2];
    const exponents = [2, 3, -1, 4, 0, 2, 0.5, 0, -2];
    const run = (one: Backend) => result(one, 9, 'float32', (kernels, out) => kernels.binary(
      { a: operand(one, bases), b: operand(one, exponents) },
      { out }, { op: 'power' },
    ));
    const wanted = await run(cpu);
    (await run(backend)).forEach((value, index) => expect(value).toBeCloseTo(wanted[index]!, 5));
    const [nan] = await result(backend, 1, 'float32', (kernels, out) => kernels.binary(
      { a: operand(backend, [-2]), b: operand(backend, [0.5]) },
      { out }, { op: 'power' },
    ));
    expect(nan).toBeNaN();
  });

  it.each(['sin', 'cos'] as const)('%s of far arguments', async (op) => {
    const far = Array.from({ length: 999 }, (_, index) => Math.fround((index - 500) * 31.7));
    const found = await result(backend, far.length, 'float32', (kernels, out) => kernels.unary({ x: operand(backend, far) }, { out }, { op }));
    found.forEach((value, index) => expect(Math.abs(value - Math[op](far[index]!))).toBeLessThan(4e-6));
  });

  it('takes NaN for true', async () => {
    expect(await result(backend, 4, 'bool', (kernels, out) => kernels.cast(
      { x: operand(backend, [NaN, 0, -0, Infinity]) },
      { out },
    ))).toEqual([1, 0, 0, 1]);
  });

  it('finds NaN in a maximum, and passes over it for the place of the maximum', async () => {
    const x = [1, NaN, 3, 2];
    const view = { outer: 1, size: 4, inner: 1, op: 'max' } as const;
    expect(await result(backend, 1, 'float32', (kernels, out) => kernels.reduce({ x: operand(backend, x) }, { out }, view))).toEqual([NaN]);
    expect(await result(backend, 1, 'int32', (kernels, out) => kernels.argReduce({ x: operand(backend, x) }, { out }, view))).toEqual([2]);
    const first = [NaN, 5, Infinity, -Infinity];
    expect(await result(backend, 1, 'int32', (kernels, out) => kernels.argReduce({ x: operand(backend, first) }, { out }, view))).toEqual([2]);
    expect(await result(backend, 1, 'int32', (kernels, out) => kernels.argReduce(
      { x: operand(backend, [1, Infinity, -Infinity, 2]) },
      { out }, { ...view, op: 'min' },
    ))).toEqual([2]);
  });

  it('bundles lists into few launches', () => {
    const engine = createEngine(backend);
    const many = Array.from({ length: 30 }, (_, index) => engine.ones([index + 1]));
    const hyper = engine.ones([10]);
    const launches = (run: () => void): number => {
      const before = backend.statistics.dispatches;
      run();
      return backend.statistics.dispatches - before;
    };
    const { maxStorageBuffers } = backend.traits;
    const kernels = engine.kernels;
    const [m, v, g] = [0, 1, 2].map(() => many.map((tensor) => engine.zeros(tensor.shape)));
    expect(launches(() => kernels.adamStep(
      { gradients: g!, hyper },
      { parameters: many, m: m!, v: v! }, { decay: true },
    ))).toBe(Math.ceil(30 / Math.floor((maxStorageBuffers - 1) / 4)));
    const [norm, joined] = [engine.zeros([1]), engine.zeros([465])];
    expect(launches(() => kernels.sumSquares({ parts: many }, { out: norm }))).toBe(Math.ceil(30 / (maxStorageBuffers - 1)) + 1);
    expect(launches(() => kernels.concat({ parts: many }, { out: joined }, { axis: 0 }))).toBe(Math.ceil(30 / Math.min(15, maxStorageBuffers - 1)));
  });
});

function near(found: number, wanted: number): boolean {
  if (Number.isNaN(wanted)) return Number.isNaN(found);
  // Devices may take what is below the smallest normal number for 0.
  return found === wanted || Math.abs(found - wanted) <= 1.2e-38 + 1e-5 * Math.abs(wanted);
}
