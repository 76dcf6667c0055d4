// The compiled matrix products against sums in doubles: any shape, both transposes, ragged segments, stale outputs, and a cut into
// work items that changes nothing.
import { afterAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { sizeOf, type Kernels, type Operand } from '@xmoe/core';
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { randoms } from './support.js';

const variants = ['relaxed', 'simd'] as const;
const backends = await Promise.all(variants.map((variant) => createWasmBackend({ threads: 2, variant })));
const oracle = createCpuBackend({ accumulate: 'float64' });
afterAll(() => backends.forEach((backend) => backend.dispose()));

type Shape = readonly number[];
interface Given { readonly shape: Shape; readonly data: ArrayLike<number>; readonly dtype?: 'int32' }

/** `run` on a backend with these inputs and an output full of NaN; the output. */
function compute(backend: typeof oracle, inputs: readonly Given[], outShape: Shape, run: (kernels: Kernels, operands: Operand[], out: Operand) => void): ArrayLike<number> {
  const make = ({ shape, data, dtype = 'float32' as never }: Given): Operand => {
    const operand = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
    backend.write(operand, data);
    return operand;
  };
  const operands = inputs.map(make);
  const out = make({ shape: outShape, data: new Float64Array(sizeOf(outShape)).fill(NaN) });
  run(backend.kernels as Kernels, operands, out);
  const result = backend.readSync!(out);
  for (const { buffer } of [...operands, out]) backend.free(buffer);
  return result;
}

/** Inputs in single precision, so that both sides multiply the same numbers. */
const numbers = (shape: Shape, seed: number): Given => ({ shape, data: Float32Array.from(randoms(sizeOf(shape), seed)) });

function expectClose(actual: ArrayLike<number>, wanted: ArrayLike<number>, terms: number): void {
  const room = 1e-6 + 1.2e-7 * terms;
  const worst = Array.from(wanted).findIndex((value, i) => !(Math.abs(actual[i] - value) <= room));
  expect(worst === -1 ? 'close' : `element ${worst}: ${actual[worst]} is not ${wanted[worst]}`).toBe('close');
}

function expectSame(inputs: readonly Given[], outShape: Shape, terms: number, run: Parameters<typeof compute>[3]): void {
  const wanted = compute(oracle, inputs, outShape, run);
  for (const backend of backends) expectClose(compute(backend, inputs, outShape, run), wanted, terms);
}

/** Rows first … first + count − 1 of a matrix. */
const rowsOf = ({ shape, data }: Given, first: number, count: number): Given => ({ shape: [1, count, shape[2]], data: Array.from(data).slice(first * shape[2], (first + count) * shape[2]) });

describe('few rows', () => {
  const cases = fc.record({ K: fc.integer({ min: 1, max: 70 }), N: fc.integer({ min: 1, max: 90 }), transposeB: fc.boolean() });
  const sizes = fc.record({ count: fc.integer({ min: 1, max: 17 }), transposeA: fc.boolean(), large: fc.boolean() });

  it('have the bits that they have among others', () => {
    fc.assert(fc.property(cases, sizes, ({ K, N, transposeB }, { count, transposeA, large }) => {
      const [depth, columns] = large ? [K + 384, N + 600] : [K, N]; // K in slices, more columns than a block has, and a B that is read in place
      const a = numbers([1, 20, depth], 1);
      const b = numbers([1, ...(transposeB ? [columns, depth] : [depth, columns])], 2);
      for (const backend of backends) {
        const multiply = (rows: Given): ArrayLike<number> => {
          const M = rows.shape[1];
          const turned = { shape: [1, depth, M], data: Float32Array.from({ length: M * depth }, (_, at) => rows.data[(at % M) * depth + Math.floor(at / M)]) };
          return compute(backend, [transposeA ? turned : rows, b], [1, M, columns], (kernels, [x, y], out) => kernels.matmul({ a: x, b: y }, { out }, { transposeA, transposeB }));
        };
        expect(Array.from(multiply(rowsOf(a, 2, count)))).toEqual(Array.from(multiply(a)).slice(2 * columns, (2 + count) * columns));
      }
    }), { numRuns: 60 });
  });

  it('one has them as the only one of its expert', () => {
    fc.assert(fc.property(cases, ({ K, N, transposeB }) => {
      const [x, w] = [numbers([3, K], 1), numbers([2, ...(transposeB ? [N, K] : [K, N])], 2)];
      for (const backend of backends) {
        const multiply = (offsets: number[]): number[] => Array.from(compute(backend, [x, w, { shape: [3], data: offsets, dtype: 'int32' }], [3, N], (kernels, [rows, weights, bounds], out) =>
          kernels.groupedMatmul({ x: rows, w: weights, offsets: bounds }, { out }, { transposeW: transposeB })));
        // Row 0 alone before one of expert 1, and among three.
        expect(multiply([0, 1, 2]).slice(0, N)).toEqual(multiply([0, 3, 3]).slice(0, N));
      }
    }), { numRuns: 40 });
  });
});

describe('matmul', () => {
  const extent = fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 20 }) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 90 }) },
    fc.constantFrom(256, 257, 384, 385, 400),
  );
  it('of any shape', () => {
    const cases = fc.record({ batch: fc.integer({ min: 0, max: 3 }), shared: fc.boolean(), M: extent, K: extent, N: extent, transposeA: fc.boolean(), transposeB: fc.boolean() });
    fc.assert(fc.property(cases, ({ batch, shared, M, K, N, transposeA, transposeB }) => {
      fc.pre(batch * M * K * N < 4e6);
      const a = numbers(transposeA ? [batch, K, M] : [batch, M, K], 1);
      const b = numbers([shared ? 1 : batch, ...(transposeB ? [N, K] : [K, N])], 2);
      expectSame([a, b], [batch, M, N], K, (kernels, [x, y], out) => kernels.matmul({ a: x, b: y }, { out }, { transposeA, transposeB }));
    }), { numRuns: 120 });
  });

  it('where K is cut, blocks are many and edges are not whole', () => {
    for (const [transposeA, transposeB] of [[false, false], [true, false], [false, true], [true, true]]) {
      const [M, K, N] = [301, 1003, 277];
      const inputs = [numbers(transposeA ? [1, K, M] : [1, M, K], 3), numbers(transposeB ? [1, N, K] : [1, K, N], 4)];
      expectSame(inputs, [1, M, N], K, (kernels, [x, y], out) => kernels.matmul({ a: x, b: y }, { out }, { transposeA, transposeB }));
    }
  });

  it('passes NaN and infinity on, and only along their rows and columns', () => {
    const a = { shape: [1, 5, 3], data: Float32Array.of(1, 2, 3, NaN, 1, 1, 1, 1, 1, 0, 0, 0, Infinity, 1, 1) };
    const b = { shape: [1, 3, 9], data: new Float32Array(27).fill(1) };
    for (const backend of backends) {
      const out = compute(backend, [a, b], [1, 5, 9], (kernels, [x, y], target) => kernels.matmul(
        { a: x, b: y },
        { out: target }, { transposeA: false, transposeB: false },
      ));
      const rows = [6, NaN, 3, 0, Infinity].flatMap((value) => new Array<number>(9).fill(value));
      expect(Array.from(out)).toEqual(rows);
    }
  });
});

describe('products of ragged segments', () => {
  const cases = fc.record({
    counts: fc.array(fc.oneof(fc.constantFrom(0, 1, 3, 4, 5), fc.integer({ min: 0, max: 70 })), { minLength: 1, maxLength: 9 }),
    spare: fc.integer({ min: 0, max: 9 }), K: fc.integer({ min: 0, max: 70 }), M: fc.integer({ min: 0, max: 70 }), transposeW: fc.boolean(),
  });
  const offsetsOf = (counts: readonly number[]): Given => {
    const data = [0];
    for (const count of counts) data.push(data[data.length - 1] + count);
    return { shape: [data.length], data, dtype: 'int32' };
  };

  it('groupedMatmul', () => {
    fc.assert(fc.property(cases, ({ counts, spare, K, M, transposeW }) => {
      const offsets = offsetsOf(counts);
      const R = offsets.data[counts.length] + spare;
      const inputs = [numbers([R, K], 5), numbers([counts.length, ...(transposeW ? [M, K] : [K, M])], 6), offsets];
      expectSame(inputs, [R, M], K, (kernels, [x, w, bounds], out) => kernels.groupedMatmul({ x, w, offsets: bounds }, { out }, { transposeW }));
    }), { numRuns: 80 });
  });

  it('groupedMatmulWeightGrad', () => {
    fc.assert(fc.property(cases, ({ counts, spare, K, M }) => {
      const offsets = offsetsOf(counts);
      const R = offsets.data[counts.length] + spare;
      const inputs = [numbers([R, K], 7), numbers([R, M], 8), offsets];
      expectSame(inputs, [counts.length, K, M], R, (kernels, [x, dy, bounds], out) => kernels.groupedMatmulWeightGrad(
        { x, dy, offsets: bounds },
        { out },
      ));
    }), { numRuns: 80 });
  });

  it('of one long segment, cut into many blocks', () => {
    const offsets = offsetsOf([0, 1001, 0, 2]);
    const inputs = [numbers([1010, 130], 9), numbers([4, 130, 300], 10), offsets];
    expectSame(inputs, [1010, 300], 130, (kernels, [x, w, bounds], out) => kernels.groupedMatmul(
      { x, w, offsets: bounds },
      { out }, { transposeW: false },
    ));
    const gradients = [numbers([1010, 130], 9), numbers([1010, 300], 11), offsets];
    expectSame(gradients, [4, 130, 300], 1001, (kernels, [x, dy, bounds], out) => kernels.groupedMatmulWeightGrad(
      { x, dy, offsets: bounds },
      { out },
    ));
  });
});
