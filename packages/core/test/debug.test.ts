// Debug levels: the NaN watch with and without synchronous reads, and the leak report.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, crossEntropy, divide, exp, gatherRows, gelu, isXMoEError, log, multiply, reshape, softmax, sum, valueAndGrad, type Backend, type Engine, type Tensor } from '@xmoe/core';
import { describe, expect, it } from 'vitest';

/** The same backend as a device that only answers later. */
function deferred(): Backend {
  const { readSync: _, ...backend } = createCpuBackend();
  return backend;
}

describe('the NaN watch', () => {
  it('raises at the kernel that made the NaN, with its name, and frees nothing twice', () => {
    const engine = createEngine(createCpuBackend(), { debug: 'nan' });
    const x = engine.tensor([1, -1, 0]);
    expect([...log(multiply(x, 0)).dataSync()]).toEqual([-Infinity, -Infinity, -Infinity]); // infinities pass
    const buffers = engine.memory().buffers;
    expect(() => engine.scope(() => multiply(log(x), 2))).toThrow('unary: NaN at element 1 of float32 [3]');
    expect(engine.memory().buffers).toBe(buffers);
  });

  it('sees NaN in gradients and in float16', () => {
    const engine = createEngine(createCpuBackend(), { debug: 'all' });
    expect(() => valueAndGrad(engine, (w: Tensor) => sum(multiply(divide(w, 0), 0)), engine.tensor([1]))).toThrow('binary: NaN at element 0');
    expect(() => softmax(engine.tensor([NaN, 1], [1, 2], 'float16'))).toThrow('softmax: NaN at element 0 of float16 [1, 2]');
  });

  it('raises at the next read where reads are deferred, naming the first op, once', async () => {
    const engine = createEngine(deferred(), { debug: 'nan' });
    const x = engine.tensor([-1, 4]);
    const fine = engine.ones([1]);
    engine.scope(() => void gelu(log(x)));
    const error: unknown = await fine.data().catch((raised: unknown) => raised);
    expect(isXMoEError(error) && error.message).toBe('unary: NaN at element 0 of float32 [2]');
    expect(isXMoEError(error) && error.code).toBe('numerics');
    await expect(fine.data()).resolves.toEqual(Float32Array.of(1));
    expect(() => x.dataSync()).toThrow('cpu cannot read synchronously');
  });

  it('turns a failing deferred read into an error at the next read, not a rejection that nobody sees', async () => {
    const backend = deferred();
    let broken = false;
    const engine = createEngine({ ...backend, read: async (operand) => (broken ? Promise.reject(new Error('device lost')) : backend.read(operand)) }, { debug: 'nan' });
    const x = engine.tensor([1]);
    broken = true;
    exp(x);
    await new Promise((resolve) => setTimeout(resolve, 5));
    broken = false;
    await expect(x.data()).rejects.toThrow('device lost');
  });

  it('names ids that a vocabulary or a table does not have, and lets those for "none" pass', async () => {
    const use = (engine: Engine, label: number, row: number): void => {
      const logits = engine.tensor([1, 2, 3, 4, 5, 6], [2, 3]);
      gatherRows(logits, engine.tensor(Int32Array.of(0, -1, row)));
      crossEntropy(logits, engine.tensor(Int32Array.of(-100, label)));
    };
    const now = createEngine(createCpuBackend(), { debug: 'nan' });
    use(now, 2, 1);
    expect(() => use(now, 3, 1)).toThrow('crossEntropyStats: id 3 at element 1 is none of 3');
    expect(() => use(now, 2, 2)).toThrow('gatherRows: id 2 at element 2 is none of 2');
    expect(() => use(now, 2, -2)).toThrow('gatherRows: id -2 at element 2 is none of 2');
    const later = createEngine(deferred(), { debug: 'nan' });
    use(later, 99, 1);
    await expect(later.ones([1]).data()).rejects.toThrow('crossEntropyStats: id 99 at element 1 is none of 3');
  });

  it('is off by default', () => {
    const engine = createEngine(createCpuBackend());
    expect(log(engine.tensor([-1])).dataSync()[0]).toBeNaN();
  });
});

describe('the leak report', () => {
  it('lists live buffers by the place that made them, without shared numbers', () => {
    const engine = createEngine(createCpuBackend(), { debug: 'leaks' });
    function makesALeak(): Tensor {
      return multiply(engine.ones([4]), 2);
    }
    const leaked = engine.scope(makesALeak);
    const alias = reshape(leaked, [2, 2]);
    const report = engine.leakReport();
    expect(report).toEqual([{ site: expect.stringContaining('makesALeak') as string, buffers: 1, bytes: 16 }]);
    expect(report[0]!.site).not.toMatch(/Engine\.|#store|creationSite/);
    leaked.dispose();
    alias.dispose();
    expect(engine.leakReport()).toEqual([]);
  });

  it('says how to get sites when they were not recorded', () => {
    const engine = createEngine(createCpuBackend());
    engine.ones([4]);
    engine.ones([2]);
    expect(engine.leakReport()).toEqual([{ site: 'unknown (create the engine with debug: "leaks")', buffers: 2, bytes: 24 }]);
  });
});
