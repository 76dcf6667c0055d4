// createTfjsBackend beyond conformance: side by side builds, flat memory, sharing, random numbers, errors.
import { afterAll, describe, expect, it } from 'vitest';
import { createEngine, hostUniform, isXMoEError, sizeOf, type Backend, type DType, type Operand } from '@xmoe/core';
import { createTfjsBackend, tfjsSupport, type Tfjs, type TfjsBackend } from '@xmoe/backend-tfjs';
import { createTfjsBackendFor, loadTfjs } from '@xmoe/backend-tfjs/node';

const { tf } = await loadTfjs({ build: 'cpu' });
const wasm = await createTfjsBackendFor('wasm');
const cpu = await createTfjsBackendFor('cpu');
const device = createTfjsBackend(tf, { backendName: 'cpu', mode: 'device' });
const backends: [string, TfjsBackend][] = [['wasm', wasm], ['cpu', cpu], ['device', device]];
afterAll(() => backends.forEach(([, backend]) => backend.dispose()));

function operand(backend: Backend, shape: number[], data?: ArrayLike<number>, dtype: DType = 'float32'): Operand {
  const made = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
  if (data) backend.write(made, data);
  return made;
}

const ramp = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i));

describe('builds side by side', () => {
  it('runs each on its own build whichever tf has selected', async () => {
    for (const selected of ['wasm', 'cpu']) {
      await tf.setBackend(selected);
      for (const [, backend] of backends) {
        const [a, b, out] = [operand(backend, [1, 40, 30], ramp(1200)), operand(backend, [1, 30, 50], ramp(1500)), operand(backend, [1, 40, 50])];
        backend.kernels.matmul({ a, b }, { out }, { transposeA: false, transposeB: false });
        let expected = 0;
        for (let k = 0; k < 30; k++) expected += ramp(1200)[30 + k] * ramp(1500)[k * 50 + 2];
        expect(backend.readSync!(out)[52]).toBeCloseTo(expected, 4);
        [a, b, out].forEach((x) => backend.free(x.buffer));
      }
      expect(tf.getBackend()).toBe(selected);
    }
  });

  it('names itself and says how it runs', () => {
    expect(wasm.name).toBe('tfjs:wasm');
    expect(wasm.description).toContain('SIMD kernels on the heap');
    expect(cpu.name).toBe('tfjs:cpu');
    expect(device.description).toContain('TensorFlow.js kernels');
  });
});

describe.each(backends)('memory on %s', (_, backend) => {
  it('stays flat over steps that replace, alias and update buffers', () => {
    const parameter = operand(backend, [8192], ramp(8192));
    const [m, v] = [operand(backend, [8192], new Float32Array(8192)), operand(backend, [8192], new Float32Array(8192))];
    const hyper = operand(backend, [10], [0.01, 0.9, 0.999, 1e-8, 0.1, 0.1, 0.001, 1, 0.1, 0.001]);
    const step = (): void => {
      const [x, y, z] = [operand(backend, [64, 128]), operand(backend, [128, 64]), operand(backend, [128, 64])];
      backend.kernels.unary({ x: { ...parameter, shape: [64, 128] } }, { out: x }, { op: 'tanh' });
      backend.kernels.transpose({ x }, { out: y }, { permutation: [1, 0] });
      backend.kernels.binary({ a: y, b: y }, { out: z }, { op: 'multiply' });
      backend.kernels.binary({ a: { ...z, shape: [64, 128] }, b: x }, { out: { ...z, buffer: y.buffer, shape: [64, 128] } }, { op: 'add' });
      backend.kernels.adamStep?.({ gradients: [{ ...y, shape: [8192] }], hyper }, { parameters: [parameter], m: [m], v: [v] }, { decay: true });
      [x, y, z].forEach((made) => backend.free(made.buffer));
    };
    const held = backend.memory().bytes;
    step();
    const before = { ...tf.engine().memory(), bytes: backend.memory().bytes };
    for (let i = 0; i < 50; i++) step();
    const after = { ...tf.engine().memory(), bytes: backend.memory().bytes };
    expect(after.numTensors).toBe(before.numTensors);
    expect(after.numDataBuffers).toBe(before.numDataBuffers);
    expect(after.bytes).toBe(held);
    [parameter, m, v, hyper].forEach((x) => backend.free(x.buffer));
    expect(backend.memory().bytes).toBeLessThan(held);
  });

  it('does not lose its tensors to a surrounding tf.tidy', () => {
    const out = operand(backend, [2000]);
    tf.tidy(() => {
      const x = operand(backend, [2000], ramp(2000));
      backend.kernels.unary({ x }, { out }, { op: 'square' });
      backend.free(x.buffer);
      return [];
    });
    expect(backend.readSync!(out)[1]).toBeCloseTo(Math.sin(1) ** 2, 5);
    backend.free(out.buffer);
  });

  it('keeps packed weights fresh after an update in place', () => {
    // TensorFlow.js wasm caches packed weights by tensor id; an optimizer step must not leave them stale.
    const [x, w, out] = [operand(backend, [1, 4, 64], ramp(256)), operand(backend, [1, 64, 64], ramp(4096)), operand(backend, [1, 4, 64])];
    backend.kernels.matmul({ a: x, b: w }, { out }, { transposeA: false, transposeB: false });
    const first = backend.readSync!(out).slice();
    const zero = operand(backend, [64, 64], new Float32Array(4096));
    backend.kernels.fill({}, { out: { ...w, shape: [4096] } }, { value: 2 });
    backend.kernels.matmul({ a: x, b: w }, { out }, { transposeA: false, transposeB: false });
    const second = backend.readSync!(out);
    expect(second[0]).toBeCloseTo(2 * ramp(64).reduce((sum, value) => sum + value, 0), 3);
    expect(second[0]).not.toBeCloseTo(first[0], 3);
    [x, w, out, zero].forEach((made) => backend.free(made.buffer));
  });
});

describe.each(backends)('random on %s', (_, backend) => {
  it('equals core to the bit, for odd lengths too', () => {
    const key = operand(backend, [2], [0x12345678, 0xfedcba98], 'uint32');
    for (const [length, stream] of [[1, 0], [7, 3], [1001, 0xdeadbeef]]) {
      const out = operand(backend, [length]);
      backend.kernels.random({ key }, { out }, { stream });
      expect(Array.from(backend.readSync!(out))).toEqual(Array.from(hostUniform([0x12345678, 0xfedcba98], length, stream)));
      backend.free(out.buffer);
    }
    backend.free(key.buffer);
  });
});

describe('an engine on it', () => {
  it('gives the same numbers on wasm and cpu', async () => {
    const results = [wasm, cpu, device].map((backend) => {
      const engine = createEngine(backend);
      const x = engine.tensor(ramp(4096), [64, 64]);
      return Array.from(x.engine.backend.readSync!(x)).slice(0, 3);
    });
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
});

describe('errors', () => {
  const failure = (run: () => unknown): { message: string; hint?: string; code: string } => {
    try {
      run();
    } catch (error) {
      if (isXMoEError(error)) return error;
      throw error;
    }
    throw new Error('nothing was thrown');
  };

  it('refuses what is not TensorFlow.js', () => {
    expect(failure(() => createTfjsBackend({} as Tfjs)).message).toContain('not a TensorFlow.js module');
    expect(failure(() => createTfjsBackend(undefined as unknown as Tfjs)).code).toBe('backend');
  });
  it('names a backend that is not there and says how to start it', () => {
    const error = failure(() => createTfjsBackend(tf, { backendName: 'webgl' }));
    expect(error.message).toContain("'webgl'");
    expect(error.hint).toContain("setBackend('webgl')");
  });
  it('refuses float16 by name', () => {
    expect(wasm.capabilities.float16).toBe(false);
    expect(failure(() => wasm.allocate('float16', 4)).message).toContain('float16');
  });
  it('has a support entry for every kernel of each build, and no kernel where it says composed', () => {
    for (const [name, row] of Object.entries(tfjsSupport)) {
      const key = name as keyof typeof tfjsSupport;
      expect(wasm.kernels[key] === undefined, `wasm ${name}`).toBe(row.wasm === 'composed');
      expect(cpu.kernels[key] === undefined, `cpu ${name}`).toBe(row.cpu === 'composed');
      if (row.node === 'composed') expect(device.kernels[key], `device ${name}`).toBeUndefined();
    }
  });
});
