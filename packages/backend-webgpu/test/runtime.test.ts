// What the runtime promises besides arithmetic: the order of uploads, kernels and reads, what is made once and used again, windows
// and folds, and that memory stays flat. Recordings, failures and lifetimes have files of their own.
import type { Kernels, Operand } from '@xmoe/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createWebGpuBackend, type WebGpuBackend, type WebGpuBackendOptions } from '../src/index.js';
import { traitsOf } from '../src/device/traits.js';
import { optimizerKernels } from '../src/kernels/optimizer.js';
import { largestBuffer, sizeClass } from '../src/runtime/buffers.js';
import { createProgram, type Program } from '../src/runtime/program.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { webGpuAdapter } from './adapter.js';
import { contents, operand, release } from './operands.js';

const { available, reason } = await webGpuAdapter();
const open: WebGpuBackend[] = [];

async function create(options: WebGpuBackendOptions = {}): Promise<{ backend: WebGpuBackend; kernels: Kernels }> {
  const backend = await createWebGpuBackend(options);
  open.push(backend);
  return { backend, kernels: backend.kernels as Kernels };
}

afterEach(() => {
  vi.restoreAllMocks();
  for (const backend of open.splice(0)) backend.dispose();
});

const MEBI = 2 ** 20;

describe.skipIf(!available)(`order, on ${reason}`, () => {
  it.each([4, 2 ** 17])('a write between two kernels is seen by the second only: %i elements', async (length) => {
    const { backend, kernels } = await create();
    const x = operand(backend, [length], new Float32Array(length).fill(1));
    const [before, after] = [operand(backend, [length]), operand(backend, [length])];
    kernels.unary({ x }, { out: before }, { op: 'negate' });
    backend.write(x, new Float32Array(length).fill(2));
    kernels.unary({ x }, { out: after }, { op: 'negate' });
    const [first, second] = await Promise.all([contents(backend, before), contents(backend, after)]);
    expect(new Set(first)).toEqual(new Set([-1]));
    expect(new Set(second)).toEqual(new Set([-2]));
    // A small one waits its turn within the batch, a large one ends it.
    expect(backend.statistics.submits).toBe(length === 4 ? 1 : 2);
  });

  it('more uploads than the batch has room for keep their places', async () => {
    const { backend, kernels } = await create();
    const x = operand(backend, [1024], new Float32Array(1024));
    let [sum, next] = [operand(backend, [1024], new Float32Array(1024)), operand(backend, [1024])];
    for (let i = 1; i <= 200; i++) {
      backend.write(x, new Float32Array(1024).fill(i));
      kernels.binary({ a: sum, b: x }, { out: next }, { op: 'add' });
      [sum, next] = [next, sum];
    }
    expect(new Set(await contents(backend, sum))).toEqual(new Set([(200 * 201) / 2]));
    expect(backend.statistics.submits).toBeGreaterThan(1);
    expect(backend.statistics.submits).toBeLessThan(10);
  });

  it('a buffer that went through the pool within a batch does not mix its lives', async () => {
    const { backend, kernels } = await create();
    const results = [1, 2, 3].map((value) => {
      const x = operand(backend, [8], new Float32Array(8).fill(value));
      const out = operand(backend, [8]);
      kernels.unary({ x }, { out }, { op: 'square' });
      release(backend, x);
      return out;
    });
    expect(await Promise.all(results.map((out) => contents(backend, out)))).toEqual([1, 4, 9].map((value) => new Array(8).fill(value)));
  });

  it('a read is of its moment, whatever comes after', async () => {
    const { backend, kernels } = await create();
    const x = operand(backend, [3], [1, 2, 3]);
    const first = contents(backend, x);
    backend.write(x, [4, 5, 6]);
    const second = contents(backend, x);
    kernels.fill({}, { out: x }, { value: 7 });
    expect(await Promise.all([first, second, contents(backend, x)])).toEqual([[1, 2, 3], [4, 5, 6], [7, 7, 7]]);
  });

  it('reads of one moment share a submit, large ones too', async () => {
    const { backend, kernels } = await create();
    const items = [1, 5, 1000, 30000, 30001, 7].map((length, index) => {
      const item = operand(backend, [length]);
      kernels.fill({}, { out: item }, { value: index });
      return item;
    });
    const found = await Promise.all(items.map((item) => contents(backend, item)));
    expect(backend.statistics.submits).toBe(1);
    found.forEach((values, index) => {
      expect(values).toHaveLength(items[index]!.shape[0]!);
      expect(new Set(values)).toEqual(new Set([index]));
    });
  });

  it('small reads of one moment share a buffer, which the next ones use again', async () => {
    const { backend } = await create();
    const items = Array.from({ length: 20 }, (_, index) => operand(backend, [3], [index, index, index]));
    const made = vi.spyOn(backend.device, 'createBuffer');
    for (let i = 0; i < 3; i++) {
      const found = await Promise.all(items.map((item) => contents(backend, item)));
      expect(found).toEqual(items.map((_, index) => [index, index, index]));
    }
    expect(made).toHaveBeenCalledOnce();
  });

  it('a batch that grows long is submitted by itself', async () => {
    const { backend, kernels } = await create();
    const x = operand(backend, [1]);
    for (let i = 0; i < 9000; i++) kernels.fill({}, { out: x }, { value: i % 7 });
    expect(backend.statistics.submits).toBe(Math.floor(9000 / 64));
    expect(await contents(backend, x)).toEqual([8999 % 7]);
  });
});

describe.skipIf(!available)('what is made once', () => {
  it('a step that repeats makes no buffer, no bind group and uploads nothing', async () => {
    const { backend, kernels } = await create();
    const step = (): void => {
      const [a, b, out] = [operand(backend, [50]), operand(backend, [50]), operand(backend, [50])];
      kernels.fill({}, { out: a }, { value: 2 });
      kernels.fill({}, { out: b }, { value: 3 });
      kernels.binary({ a, b }, { out }, { op: 'multiply' });
      kernels.softmax({ x: { ...out, shape: [5, 10] } }, { out: { ...a, shape: [5, 10] } });
      release(backend, a, b, out);
    };
    // Freed buffers come back last first: their roles repeat every other step.
    step();
    step();
    const spies = [
      vi.spyOn(backend.device, 'createBuffer'), vi.spyOn(backend.device, 'createBindGroup'), vi.spyOn(backend.device, 'createComputePipeline'),
      vi.spyOn(backend.device.queue, 'writeBuffer'),
    ];
    for (let i = 0; i < 20; i++) step();
    expect(spies.map(({ mock }) => mock.calls.length)).toEqual([0, 0, 0, 0]);
    kernels.fill({}, { out: operand(backend, [50]) }, { value: 4 });
    expect(spies[3]!.mock.calls.length).toBe(1);
  });

  it('blocks of arguments do not overwrite each other, nor confuse bits of other types', async () => {
    const { backend, kernels } = await create();
    const items = Array.from({ length: 600 }, (_, index) => {
      const item = operand(backend, [2]);
      kernels.fill({}, { out: item }, { value: index / 4 });
      return item;
    });
    const whole = operand(backend, [2], undefined, 'int32');
    kernels.fill({}, { out: whole }, { value: -5 });
    const zeros = [0, -0].map((value) => {
      const item = operand(backend, [1]);
      kernels.fill({}, { out: item }, { value });
      return item;
    });
    const found = await Promise.all(items.map((item) => contents(backend, item)));
    expect(found).toEqual(items.map((_, index) => [index / 4, index / 4]));
    expect(await contents(backend, whole)).toEqual([-5, -5]);
    expect(await Promise.all(zeros.map((item) => contents(backend, item)))).toEqual([[0], [-0]]);
  });

  it('programs are compiled per variant, not per shape', async () => {
    const { backend, kernels } = await create();
    const run = (rows: number): void => kernels.softmax({ x: operand(backend, [rows, 12]) }, { out: operand(backend, [rows, 12]) });
    run(1);
    const { programs } = backend;
    [2, 77, 1000].forEach(run);
    expect(backend.programs).toBe(programs);
    kernels.softmax({ x: operand(backend, [2, 13]) }, { out: operand(backend, [2, 13]) });
    expect(backend.programs).toBe(programs + 1);
  });
});

describe.skipIf(!available)('the pool', () => {
  it('drops what lies idle beyond what was ever live, and work on it that was not yet submitted is done', async () => {
    const { backend, kernels } = await create();
    const x = operand(backend, [MEBI], new Float32Array(MEBI).fill(3));
    const out = operand(backend, [MEBI]);
    kernels.unary({ x }, { out }, { op: 'square' });
    const destroyed = vi.spyOn((x.buffer as unknown as { block: { gpu: GPUBuffer } }).block.gpu, 'destroy');
    release(backend, x);
    for (let i = 1; i < 60; i++) release(backend, operand(backend, [MEBI + 2 ** 17 * i]));
    expect(destroyed).toHaveBeenCalled();
    // 64 MiB idle, 4 live, and what was last in use.
    expect(backend.memory().bytes).toBeLessThanOrEqual(110 * MEBI);
    const again = operand(backend, [MEBI], new Float32Array(MEBI).fill(5));
    const sum = operand(backend, [MEBI]);
    kernels.binary({ a: out, b: again }, { out: sum }, { op: 'add' });
    expect(new Set(await contents(backend, sum))).toEqual(new Set([14]));
  });

  it('stays flat over 1,000 iterations with changing sizes', async () => {
    const { backend, kernels } = await create();
    const iteration = (i: number): void => {
      const rows = 3 + (i % 17);
      const [x, bias, dy, dx, dbias] = [operand(backend, [rows, 40]), operand(backend, [1, 40]), operand(backend, [rows, 40]), operand(backend, [rows, 40]), operand(backend, [1, 40])];
      for (const item of [x, bias, dy]) kernels.fill({}, { out: item }, { value: i % 5 });
      kernels.biasActivationGrad({ x, bias, offsets: null, dy }, { dx, dbias }, { activation: 'gelu-tanh' });
      release(backend, x, bias, dy, dx, dbias);
    };
    for (let i = 0; i < 100; i++) iteration(i);
    const { bytes } = backend.memory();
    const made = [vi.spyOn(backend.device, 'createBuffer'), vi.spyOn(backend.device, 'createBindGroup')];
    for (let i = 0; i < 1000; i++) iteration(i);
    await contents(backend, operand(backend, [1], [0]));
    expect(backend.memory().bytes).toBeLessThanOrEqual(bytes + 256);
    // One for the read, one for the operand that is read.
    expect(made[0]!.mock.calls.length).toBeLessThanOrEqual(2);
    expect(made[1]!.mock.calls.length).toBeLessThan(20);
  });

  it('gets scratch back, also from a kernel that fails half-way', async () => {
    const { backend, kernels } = await create();
    const [x, dy, dx] = [0, 0, 0].map(() => operand(backend, [300, 64], new Float32Array(300 * 64)));
    const [gamma, dgamma] = [operand(backend, [64], new Float32Array(64)), operand(backend, [64])];
    const [mean, rstd] = [operand(backend, [300], new Float32Array(300)), operand(backend, [300], new Float32Array(300))];
    const foreign = { buffer: {}, shape: [64], dtype: 'float32' as const };
    const attempt = (): void => kernels.layerNormGrad({ x: x!, gamma, mean, rstd, dy: dy! }, { dx: dx!, dgamma, dbeta: foreign });
    expect(attempt).toThrow(/belongs to another backend/);
    const { bytes } = backend.memory();
    for (let i = 0; i < 20; i++) expect(attempt).toThrow();
    expect(backend.memory().bytes).toBe(bytes);
  });
});

describe.skipIf(!available)('limits of the device', () => {
  it('operands beyond the largest binding go in windows', async () => {
    const { backend, kernels } = await create({ traits: { bindingBytes: 65536 } });
    const length = 3 * 16384 + 5;
    const x = operand(backend, [length], Float32Array.from({ length }, (_, index) => index));
    const out = operand(backend, [length]);
    kernels.unary({ x }, { out }, { op: 'negate' });
    expect(backend.statistics.dispatches).toBeGreaterThan(3);
    const found = await contents(backend, out);
    expect(found.findIndex((value, index) => value !== -index)).toBe(-1);
  });

  it('say which operand is too large where there are no windows', async () => {
    const { backend, kernels } = await create({ traits: { bindingBytes: 65536 } });
    const [x, out] = [operand(backend, [1, 20000]), operand(backend, [1, 20000])];
    expect(() => kernels.softmax({ x }, { out })).toThrow(/softmax.*x float32 \[1, 20000\] has 80000 bytes, the device binds at most 65536/);
    const failure = (() => {
      try {
        kernels.softmax({ x }, { out });
      } catch (error) {
        return error;
      }
    })();
    expect(failure).toMatchObject({ code: 'memory' });
  });

  it('many workgroups are folded into two dimensions', async () => {
    const values = Float32Array.from({ length: 6000 * 3 }, (_, index) => Math.sin(index));
    const found = await Promise.all([{}, { maxGroupsPerDimension: 7 }].map(async (traits) => {
      const { backend, kernels } = await create({ traits });
      const [x, out] = [operand(backend, [6000, 3], values), operand(backend, [6000, 3])];
      kernels.softmax({ x }, { out });
      return contents(backend, out);
    }));
    expect(found[1]).toEqual(found[0]);
    expect(found[0]!.every((value) => value > 0)).toBe(true);
  });
});

describe('other devices', () => {
  it('of one driver have labels of their own, whatever is known of them', () => {
    const labelOf = (info: Partial<GPUAdapterInfo>): string => traitsOf({ features: new Set(), limits: {} } as unknown as GPUDevice, info as GPUAdapterInfo, true).label;
    const driver = { vendor: 'nvidia', architecture: 'hopper', description: 'NVIDIA: 570.86 570.86.10.0' };
    expect(labelOf({ ...driver, device: 'nvidia-h100' })).toBe('nvidia-h100, NVIDIA: 570.86 570.86.10.0');
    expect(labelOf({ ...driver, device: 'nvidia-a100' })).not.toBe(labelOf({ ...driver, device: 'nvidia-h100' }));
    expect(labelOf({ ...driver, device: '', description: '' })).toBe('nvidia hopper');
    expect(labelOf({})).toBe('unnamed adapter');
  });

  it.each([2 ** 28, 2 ** 32 - 1, 4_292_870_144, 2 ** 40])('a block is never larger than a buffer of %i bytes may be', (bufferBytes) => {
    const largest = largestBuffer(bufferBytes);
    expect(largest % 256).toBe(0);
    for (const bytes of [1, 257, 1000, 2 ** 20 + 4, 0.9 * largest, largest - 4, largest].map(Math.floor)) {
      const block = sizeClass(bytes, largest);
      expect(block).toBeGreaterThanOrEqual(bytes);
      expect(block).toBeLessThanOrEqual(Math.min(largest, Math.max(256, bytes * 1.25 + 256)));
      expect(block % 256).toBe(0);
    }
    // What nobody should ask for is not made smaller.
    expect(sizeClass(largest + 4, largest)).toBeGreaterThan(largest);
  });

  it('steps of many tensors fit a block of arguments where a kernel may bind a million buffers', () => {
    const programs: Program[] = [];
    const runtime = {
      traits: { maxStorageBuffers: 2 ** 20, bindingBytes: 2 ** 27 },
      program: (name: string, spec: () => Parameters<typeof createProgram>[1]) => programs[programs.push(createProgram(name, spec())) - 1],
      run: () => undefined, fold: (count: number) => [count], scratch: () => x,
    } as unknown as Runtime;
    const x = { buffer: {}, shape: [3], dtype: 'float32' } as unknown as Operand;
    const kernels = optimizerKernels(runtime);
    const many = Array.from({ length: 100 }, () => x);
    kernels.adamStep({ gradients: many, hyper: x }, { parameters: many, m: many, v: many }, { decay: true });
    kernels.sumSquares({ parts: many }, { out: x });
    expect(programs.length).toBeGreaterThan(8);
    for (const { name, argNames } of programs) expect(argNames.length, name).toBeLessThanOrEqual(64);
  });
});
