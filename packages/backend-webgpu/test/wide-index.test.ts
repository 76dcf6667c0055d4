// Random numbers beyond 2³² elements, and dropout of attention beyond 2³² pairs, without as many: kernels are told that what they
// work on begins far into the whole, as windows of it do.
import { sizeOf, type Operand, type RandomKey } from '@xmoe/core';
import { fillUniform } from '@xmoe/core/backend';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createWebGpuBackend } from '../src/index.js';
import { randomKernels } from '../src/kernels/random.js';
import { DeviceRuntime, type Runtime, type Window } from '../src/runtime/runtime.js';
import { webGpuAdapter } from './adapter.js';
import { contents, operand } from './operands.js';

const { available, reason } = await webGpuAdapter();
const KEY: RandomKey = [0x12345678, 0x9abcdef0];
const STREAM = 0xfedcba98;
const RATE = 0.25;
const wordsOf = (index: number): [number, number] => [index % 2 ** 32, Math.floor(index / 2 ** 32)];

/** Every launch has these arguments in place of its own. */
function insist(changed: Record<string, number>): void {
  const { run } = DeviceRuntime.prototype;
  vi.spyOn(DeviceRuntime.prototype, 'run').mockImplementation(function (this: DeviceRuntime, program, buffers, args, ...rest) {
    run.call(this, program, buffers, { ...args, ...changed }, ...rest);
  });
}

function uniforms(first: number, length: number): Float32Array {
  const out = new Float32Array(length);
  fillUniform(KEY, STREAM, out, first);
  return out;
}

afterEach(() => vi.restoreAllMocks());

describe.skipIf(!available)(`beyond 2³², on ${reason}`, () => {
  it.each([2 ** 32 - 128, 2 ** 32, 2 ** 33 - 128, 2 ** 33, 2 ** 41 + 2 ** 35 + 128])('random and dropout of elements from %i on are those of the host', async (first) => {
    const backend = await createWebGpuBackend();
    const [key, x] = [operand(backend, [2], KEY, 'uint32'), operand(backend, [261], new Float32Array(261).fill(3))];
    const [drawn, dropped] = [operand(backend, [261]), operand(backend, [261])];
    const [low, beyond] = wordsOf(first);
    insist({ first: low, firstBeyond: beyond });
    backend.kernels.random({ key }, { out: drawn }, { stream: STREAM });
    backend.kernels.dropout!({ x, key }, { out: dropped }, { rate: RATE, stream: STREAM });
    const expected = uniforms(first, 261);
    expect(await contents(backend, drawn)).toEqual([...expected]);
    expect(await contents(backend, dropped)).toEqual(Array.from(expected, (value) => (value < RATE ? 0 : 4)));
    backend.dispose();
  });

  it.each([[2 ** 32, 32, 8], [2 ** 33, 31, 8], [2 ** 33, 32, 72], [2 ** 35, 31, 72]])(
    'attention drops the pairs around %i that the host drops, forward and backward: %i keys, heads of %i',
    async (around, keys, D) => {
      const queries = 16;
      // The boundary is within the first of two heads, or at its end.
      const firstHead = Math.ceil(around / (queries * keys)) - 1;
      const backend = await createWebGpuBackend();
      const random = (length: number, seed: number): Operand => {
        const values = new Float32Array(2 * length * D);
        fillUniform([seed, 0], 0, values);
        return operand(backend, [2, length, D], values);
      };
      const zeros = operand(backend, [2, queries, D], new Float32Array(2 * queries * D));
      const [k, v, dout] = [random(keys, 1), random(keys, 2), random(queries, 3)];
      const key = operand(backend, [2], KEY, 'uint32');
      const [out, dq, dk, dv] = [queries, queries, keys, keys].map((length) => operand(backend, [2, length, D]));
      const stats = operand(backend, [2, queries, 2]);
      const options = { heads: 2, causal: false, scale: 1, dropoutRate: RATE, stream: STREAM };
      insist({ first: firstHead });
      backend.kernels.attention!({ q: zeros, k, v, keyMask: null, key }, { out: out!, stats }, options);
      backend.kernels.attentionGrad!({ q: zeros, k, v, keyMask: null, key, out: out!, stats, dout }, { dq: dq!, dk: dk!, dv: dv! }, options);
      const [keyRows, values, flows] = await Promise.all([k, v, dout].map((item) => contents(backend, item)));
      const kept = Array.from(uniforms(firstHead * queries * keys, 2 * queries * keys), (value) => (value < RATE ? 0 : 1 / (1 - RATE)));
      const expected = uniformAttention({ queries, keys, D, kept, k: keyRows!, v: values!, dout: flows! });
      for (const [item, wanted] of [[out!, expected.out], [dq!, expected.dq], [dv!, expected.dv]] as const) {
        const found = await contents(backend, item);
        const worst = Math.max(...found.map((value, index) => Math.abs(value - wanted[index]!)));
        expect(found).toHaveLength(sizeOf(item.shape));
        expect(worst).toBeLessThan(2e-5);
      }
      backend.dispose();
    },
  );
});

interface Heads {
  readonly queries: number;
  readonly keys: number;
  readonly D: number;
  readonly kept: readonly number[];
  readonly k: readonly number[];
  readonly v: readonly number[];
  readonly dout: readonly number[];
}

/** Two heads of attention where q is 0, so that every key has the same probability. */
function uniformAttention({ queries, keys, D, kept, k, v, dout }: Heads): Record<'out' | 'dq' | 'dv', Float64Array> {
  const out = new Float64Array(2 * queries * D);
  const dq = new Float64Array(out.length);
  const dv = new Float64Array(2 * keys * D);
  for (let row = 0; row < 2 * queries; row++) {
    const firstKey = Math.floor(row / queries) * keys;
    const flow = new Float64Array(keys);
    let mean = 0;
    for (let j = 0; j < keys; j++) {
      const weight = kept[row * keys + j]!;
      for (let d = 0; d < D; d++) {
        const at = (firstKey + j) * D + d;
        out[row * D + d]! += (weight * v[at]!) / keys;
        dv[at]! += (weight * dout[row * D + d]!) / keys;
        flow[j]! += weight * v[at]! * dout[row * D + d]!;
      }
      mean += flow[j]! / keys;
    }
    for (let j = 0; j < keys; j++) for (let d = 0; d < D; d++) dq[row * D + d]! += ((flow[j]! - mean) * k[(firstKey + j) * D + d]!) / keys;
  }
  return { out, dq, dv };
}

it('windows of more than 2³² elements say where they begin in whole', () => {
  const begins: number[] = [];
  const runtime = {
    traits: { bindingBytes: 2 ** 31 },
    program: () => ({}),
    run: (_: unknown, { out }: { out: Window }, { first, firstBeyond }: Record<string, number>) => {
      expect([first, firstBeyond]).toEqual(wordsOf(out.start));
      begins.push(out.start);
    },
    fold: (count: number) => [count],
  } as unknown as Runtime;
  const x: Operand = { buffer: {}, shape: [2 ** 33 + 5], dtype: 'float16' };
  randomKernels(runtime).dropout({ x, key: { buffer: {}, shape: [2], dtype: 'uint32' } }, { out: x }, { rate: RATE, stream: STREAM });
  expect(begins.length).toBeGreaterThan(8);
  expect(begins.at(-1)).toBeGreaterThan(2 ** 32);
});
