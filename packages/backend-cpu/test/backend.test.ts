// What the backend does besides arithmetic: buffers, the pool, transfers, errors, float16 storage.
import { describe, expect, it } from 'vitest';
import { encodeFloat16, decodeFloat16 } from '@xmoe/core';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createBench } from './support.js';

describe('buffers', () => {
  it('are reused: a loop of equal steps allocates nothing', () => {
    const { backend, make, kernels } = createBench('float32');
    const step = (): void => {
      const [a, b, out] = [make([50], new Float32Array(50)), make([50], new Float32Array(50)), make([50])];
      kernels.binary({ a, b }, { out }, { op: 'add' });
      for (const operand of [a, b, out]) backend.free(operand.buffer);
    };
    step();
    const bytes = backend.memory().bytes;
    for (let i = 0; i < 50; i++) step();
    expect(backend.memory().bytes).toBe(bytes);
    expect(bytes).toBe(3 * 50 * 4);
  });

  it('that lie idle are dropped when they outgrow what was ever live', () => {
    const backend = createCpuBackend();
    const mebi = 2 ** 20;
    for (let i = 0; i < 40; i++) backend.free(backend.allocate('float32', mebi + i));
    expect(backend.memory().bytes).toBeLessThanOrEqual(64 * mebi);
  });

  it('are not shared between dtypes of one size', () => {
    const { backend, make, read, kernels } = createBench('float32');
    backend.free(make([4], [1, 2, 3, 4], 'int32').buffer);
    const keys = make([4], [2 ** 32 - 1, 0, 1, 2], 'uint32');
    expect(read(keys)[0]).toBe(2 ** 32 - 1);
    const out = make([4]);
    kernels.cast({ x: keys }, { out });
    expect(read(out)[0]).toBe(2 ** 32);
  });

  it('fail loudly when freed twice, used after, or foreign', async () => {
    const { backend, make } = createBench('float32');
    const x = make([2], [1, 2]);
    backend.free(x.buffer);
    expect(() => backend.free(x.buffer)).toThrow(/freed twice/);
    await expect(backend.read(x)).rejects.toThrow(/after its buffer was freed/);
    expect(() => backend.write({ ...x, buffer: {} }, [1, 2])).toThrow(/another backend/);
    const y = make([2], [1, 2]);
    expect(() => backend.write(y, [1, 2, 3])).toThrow(/3 values for \[2\]/);
    expect(() => backend.kernels.bincount({ x: y }, { out: make([2], [0, 0], 'int32') })).toThrow(/float32 where it takes int32/);
  });

  it('are read as copies, at the time of the call', async () => {
    const { backend, make } = createBench('float32');
    const x = make([2], [1, 2]);
    const pending = backend.read(x);
    backend.write(x, [3, 4]);
    expect(Array.from(await pending)).toEqual([1, 2]);
    const copy = backend.readSync!(x);
    copy[0] = 9;
    expect(Array.from(backend.readSync!(x))).toEqual([3, 4]);
  });
});

describe('precision', () => {
  it('float64 mode keeps doubles, float32 mode rounds', async () => {
    for (const mode of ['float32', 'float64'] as const) {
      const { backend, make } = createBench(mode);
      const data = await backend.read(make([1], [0.1]));
      expect(data).toBeInstanceOf(mode === 'float64' ? Float64Array : Float32Array);
      expect(data[0]).toBe(mode === 'float64' ? 0.1 : Math.fround(0.1));
    }
  });

  it('float16 results are the float32 results, rounded once', () => {
    const { make, read, kernels } = createBench('float32');
    const a = Array.from({ length: 64 }, (_, index) => (index - 20) / 7);
    const rounded = a.map((value) => decodeFloat16(encodeFloat16(value)));
    const [half, out] = [make([64], a, 'float16'), make([64], undefined, 'float16')];
    expect(read(half)).toEqual(rounded);
    kernels.unary({ x: half }, { out }, { op: 'exp' });
    expect(read(out)).toEqual(rounded.map((value) => decodeFloat16(encodeFloat16(Math.exp(value)))));
  });

  it('a long float32 sum does not lose its terms', () => {
    const { make, read, kernels } = createBench('float32');
    const out = make([1, 1]);
    kernels.reduce({ x: make([1, 200000, 1], new Float32Array(200000).fill(0.1)) }, { out }, { outer: 1, size: 200000, inner: 1, op: 'sum' });
    expect(read(out)[0]).toBeCloseTo(200000 * Math.fround(0.1), 1);
  });
});
