// Products of TensorFlow's own library with factors in bfloat16 and float16, and updates of many parameters in few operations, where it is built.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sizeOf, type Operand } from '@xmoe/core';
import { decodeFloat16, encodeFloat16 } from '@xmoe/core/backend';
import { createTfjsBackend, type TfjsBackend } from '@xmoe/backend-tfjs';
import { createTfjsBackendFor, loadTfjs } from '@xmoe/backend-tfjs/node';
import { nativeTensorflow } from './native.js';

const { available, reason } = await nativeTensorflow();
const wave = (n: number, seed: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin((i + 1) * seed));

/** The nearest bfloat16, ties to even. */
function toBfloat16(value: number): number {
  const [number, bits] = [new Float32Array([value]), new Uint32Array(1)];
  bits.set(new Uint32Array(number.buffer));
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer)[0]!;
}

it('refuses other products, and those that a build does not have', async () => {
  const { tf } = await loadTfjs({ build: 'cpu' });
  expect(() => createTfjsBackend(tf, { products: 'bfloat16' })).toThrow(/'cpu' has no products in bfloat16/);
  expect(() => createTfjsBackend(tf, { products: 'float16' })).toThrow(/'cpu' has no products in float16/);
  expect(() => createTfjsBackend(tf, { products: 'float8' as never })).toThrow(/no products in "float8"/);
});

const operand = (backend: TfjsBackend, shape: number[], data: ArrayLike<number> = new Float32Array(sizeOf(shape)), dtype: 'float32' | 'int32' = 'float32'): Operand => {
  const made = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
  backend.write(made, data);
  return made;
};
const read = (backend: TfjsBackend, x: Operand): number[] => Array.from(backend.readSync!(x));
/** The largest difference, in parts of the largest number. */
const distance = (a: readonly number[], b: readonly number[]): number => Math.max(...a.map((x, i) => Math.abs(x - b[i]!))) / Math.max(...b.map(Math.abs));

const hyper = [0.01, 0.9, 0.999, 1e-8, 0.1, 0.1, 0.001, 0.5, 0.1, 0.001];

/** `near`: what sums may differ from those of a wider accumulator; `far`: what rounding changes at least. In parts of the largest number. */
const KINDS = [
  { products: 'bfloat16', round: toBfloat16, near: 2 ** -7, far: 2 ** -10 },
  { products: 'float16', round: (value: number) => decodeFloat16(encodeFloat16(value)), near: 2 ** -8, far: 2 ** -14 },
];

describe.skipIf(!available).each(KINDS)(`$products on ${reason}`, ({ products, round, near, far }) => {
  let exact: TfjsBackend;
  let rounded: TfjsBackend;
  beforeAll(async () => {
    exact = await createTfjsBackendFor('node');
    process.env['XMOE_TFJS_PRODUCTS'] = products;
    rounded = await createTfjsBackendFor('node').finally(() => delete process.env['XMOE_TFJS_PRODUCTS']);
  });
  afterAll(() => [exact, rounded].forEach((backend) => backend?.dispose()));

  const [M, K, N] = [96, 128, 80];
  const product = (backend: TfjsBackend, a: ArrayLike<number>, b: Operand): number[] => {
    const out = operand(backend, [1, M, N]);
    backend.kernels.matmul({ a: operand(backend, [1, M, K], a), b }, { out }, { transposeA: false, transposeB: false });
    return read(backend, out);
  };

  it('says so, and refuses a variable that it does not know', async () => {
    expect(rounded.description).toMatch(new RegExp(`, products in ${products}\\)$`));
    expect(rounded.library).not.toBe(exact.library);
    process.env['XMOE_TFJS_PRODUCTS'] = 'bf16';
    await expect(createTfjsBackendFor('node').finally(() => delete process.env['XMOE_TFJS_PRODUCTS'])).rejects.toThrow(/XMOE_TFJS_PRODUCTS is "bf16"/);
  });

  it('rounds factors and results of large products, and leaves small ones', () => {
    const [a, b] = [wave(M * K, 0.7), wave(K * N, 1.3)];
    const [left, right] = [a.map(round), b.map(round)];
    const wanted = Array.from({ length: M * N }, (_, at) => {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += left[Math.floor(at / N) * K + k]! * right[k * N + (at % N)]!;
      return round(sum);
    });
    const off = distance(product(rounded, a, operand(rounded, [1, K, N], b)), wanted);
    expect(off).toBeLessThan(near); // sums may fall on the other side of a half, in orders that depend on the processor
    expect(distance(product(exact, a, operand(exact, [1, K, N], b)), wanted)).toBeGreaterThan(far);
    const small = (backend: TfjsBackend): number[] => {
      const out = operand(backend, [1, M, 64]);
      backend.kernels.matmul({ a: operand(backend, [1, M, K], a), b: operand(backend, [1, K, 64], b.slice(0, K * 64)) }, { out }, { transposeA: false, transposeB: false });
      return read(backend, out);
    };
    expect(small(rounded)).toEqual(small(exact));
  });

  it('rounds those of experts and of attention', () => {
    const results = [exact, rounded].map((backend) => {
      const [x, w, dy] = [operand(backend, [6, 8], wave(48, 0.7)), operand(backend, [3, 8, 5], wave(120, 1.3)), operand(backend, [6, 5], wave(30, 2.1))];
      return [[0, 2, 4, 6], [0, 1, 1, 5]].flatMap((at) => {
        const [offsets, out, dw] = [operand(backend, [4], at, 'int32'), operand(backend, [6, 5]), operand(backend, [3, 8, 5])];
        backend.kernels.groupedMatmul({ x, w, offsets }, { out }, { transposeW: false });
        backend.kernels.groupedMatmulWeightGrad({ x, dy, offsets }, { out: dw });
        const [q, seen, stats] = [operand(backend, [2, 4, 8], wave(64, 0.9)), operand(backend, [2, 4, 8]), operand(backend, [2, 4, 2])];
        backend.kernels.attention!({ q, k: q, v: q, keyMask: null, key: null }, { out: seen, stats }, { heads: 1, causal: true, scale: 0.5, dropoutRate: 0, stream: 0 });
        return [out, dw, seen].map((result) => read(backend, result));
      });
    });
    results[1]!.forEach((result, index) => {
      const off = distance(result, results[0]![index]!);
      expect(off).toBeGreaterThan(1e-5);
      expect(off).toBeLessThan(2 ** -6);
    });
  });

  it('multiplies by a parameter as the last update left it', () => {
    const weight = operand(rounded, [1, K, N], wave(K * N, 1.3));
    const states = { parameters: [weight], m: [operand(rounded, [1, K, N])], v: [operand(rounded, [1, K, N])] };
    const seen: number[][] = [];
    for (let step = 0; step < 3; step++) {
      rounded.kernels.adamStep!({ gradients: [operand(rounded, [1, K, N], wave(K * N, 2.3))], hyper: operand(rounded, [10], hyper) }, states, { decay: true });
      const result = product(rounded, wave(M * K, 0.7), weight);
      expect(product(rounded, wave(M * K, 0.7), weight)).toEqual(result); // by the kept copy
      expect(product(rounded, wave(M * K, 0.7), operand(rounded, [1, K, N], read(rounded, weight)))).toEqual(result);
      seen.push(result);
    }
    rounded.write(weight, wave(K * N, 3.1));
    expect(product(rounded, wave(M * K, 0.7), weight)).toEqual(product(rounded, wave(M * K, 0.7), operand(rounded, [1, K, N], wave(K * N, 3.1))));
    expect(seen[2]).not.toEqual(seen[0]);
  });

});

describe.skipIf(!available)(`AdamW on ${reason}`, () => {
  let exact: TfjsBackend;
  let device: TfjsBackend;
  beforeAll(async () => {
    exact = await createTfjsBackendFor('node');
    device = createTfjsBackend(exact.tf, { backendName: 'tensorflow', waits: true });
  });
  afterAll(() => [exact, device].forEach((backend) => backend?.dispose()));

  it('reads no scale that is on the device, changes nothing where it is 0, and has the bits of one that is known', () => {
    const shapes = [[5], [20_000]];
    const run = (backend: TfjsBackend, scales: readonly number[]): number[][] => {
      const of = (seed: number): Operand[] => shapes.map((shape, index) => operand(backend, shape, seed === 0 ? undefined : wave(sizeOf(shape), seed + index)));
      const [parameters, m, v] = [of(0.3), of(0), of(0)];
      const [host, rests, joined, scale] = [operand(backend, [7]), operand(backend, [2], hyper.slice(8)), operand(backend, [10]), operand(backend, [1])];
      scales.forEach((factor, step) => {
        backend.write(host, [0.01 / (step + 1), ...hyper.slice(1, 7)]);
        backend.kernels.binary({ a: operand(backend, [1], [factor]), b: operand(backend, [1], [1]) }, { out: scale }, { op: 'multiply' });
        backend.kernels.concat({ parts: [host, scale, rests] }, { out: joined }, { axis: 0 });
        const gradients = factor === 0 ? shapes.map((shape) => operand(backend, shape, new Float32Array(sizeOf(shape)).fill(NaN))) : of(1.1 + step);
        backend.kernels.adamStep!({ gradients, hyper: joined }, { parameters, m, v }, { decay: true });
      });
      return [...parameters, ...m, ...v].map((x) => read(backend, x));
    };
    const [ours, wanted] = [device, exact].map((backend) => run(backend, [0.5, 0, 0.25]).flat()) as [number[], number[]];
    // Not by toEqual: what it would say of 60,000 numbers takes minutes.
    expect(ours.filter((value, at) => !Object.is(value, wanted[at])).length).toBe(0);
    expect(ours.length).toBe(wanted.length);
  });

  it('updates small parameters together as it does each alone, also when one is written between', () => {
    const shapes = [[5], [3, 7], [1], [20_000], [4, 4]];
    const run = (together: boolean): number[][] => {
      const of = (seed: number): Operand[] => shapes.map((shape, index) => operand(exact, shape, seed === 0 ? undefined : wave(sizeOf(shape), seed + index)));
      const [parameters, m, v] = [of(0.3), of(0), of(0)];
      for (let step = 0; step < 4; step++) {
        const gradients = of(1.1 + step);
        const sets = together ? [shapes.map((_, index) => index)] : shapes.map((_, index) => [index]);
        for (const set of sets) {
          const pick = (x: readonly Operand[]): Operand[] => set.map((index) => x[index]!);
          exact.kernels.adamStep!({ gradients: pick(gradients), hyper: operand(exact, [10], hyper) }, { parameters: pick(parameters), m: pick(m), v: pick(v) }, { decay: step % 2 === 0 });
        }
        if (step === 1) exact.write(parameters[1]!, wave(21, 5));
        if (step === 2) read(exact, m[0]!);
      }
      return [...parameters, ...m, ...v].map((x) => read(exact, x));
    };
    expect(run(true)).toEqual(run(false));
  });
});
