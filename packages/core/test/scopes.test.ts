// Lifetimes: scopes, keep, dispose, aliases, engines beside each other.
import { createCpuBackend } from '@xmoe/backend-cpu';
import * as core from '@xmoe/core';
import { add, collectTensors, createEngine, exp, multiply, reshape, type Engine, type Tensor } from '@xmoe/core';
import { beforeEach, describe, expect, it } from 'vitest';

let engine: Engine;
beforeEach(() => {
  engine = createEngine(createCpuBackend());
});

const buffers = (): number => engine.memory().buffers;

describe('scope', () => {
  it.each<[string, () => unknown, number]>([
    ['a tensor', () => exp(engine.ones([2])), 1],
    ['an array', () => [engine.ones([1]), exp(engine.ones([1]))], 2],
    ['a nested object', () => ({ a: { b: [engine.ones([1])] }, name: 'x', none: null }), 1],
    ['a map', () => new Map([['a', engine.ones([1])]]), 1],
    ['the same tensor twice', () => {
      const one = engine.ones([1]);
      return [one, one];
    }, 1],
    ['nothing', () => void engine.ones([1]), 0],
    ['an instance of a class, whose tensors it cannot see', () => new (class { tensor = engine.ones([1]); })(), 0],
  ])('keeps %s', (_, fn, kept) => {
    const result = engine.scope(fn);
    expect(buffers()).toBe(kept);
    for (const tensor of collectTensors(result)) expect(tensor.disposed).toBe(false);
    for (const tensor of collectTensors(result)) tensor.dispose();
    expect(buffers()).toBe(0);
  });

  it('hands a result to the scope around it', () => {
    let inner: Tensor | undefined;
    engine.scope(() => {
      inner = engine.scope(() => exp(engine.ones([3])));
      expect(buffers()).toBe(1);
    });
    expect(inner!.disposed).toBe(true);
    expect(buffers()).toBe(0);
  });

  it('leaves tensors of outer scopes alone, also as a result', () => {
    const outside = engine.ones([1]);
    expect(engine.scope(() => outside)).toBe(outside);
    engine.scope(() => void exp(outside));
    expect(outside.disposed).toBe(false);
    expect(buffers()).toBe(1);
  });

  it('lets go of kept tensors', () => {
    const kept = engine.scope(() => {
      const tensor = engine.scope(() => engine.ones([1]).keep());
      return { done: tensor.keep() !== tensor, get: () => tensor };
    });
    expect(kept.get().disposed).toBe(false);
    kept.get().dispose();
    expect(buffers()).toBe(0);
  });

  it('frees everything when the function throws, and works afterwards', () => {
    expect(() => engine.scope(() => {
      engine.scope(() => engine.ones([1]));
      throw new Error('mine');
    })).toThrow('mine');
    expect(buffers()).toBe(0);
    const free = engine.ones([1]); // outside of any scope
    engine.scope(() => engine.ones([2]));
    expect(free.disposed).toBe(false);
  });

  it('refuses a promise without an unhandled rejection', async () => {
    expect(() => engine.scope(async () => {
      const tensor = engine.ones([1]);
      await Promise.resolve();
      return exp(tensor); // raises later: the scope is over
    })).toThrow('the function of a scope returned a promise');
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(buffers()).toBe(0);
  });
});

describe('tensors', () => {
  it('share storage between aliases and free it with the last', () => {
    const x = engine.tensor([1, 2, 3, 4]);
    const view = reshape(x, [2, 2]);
    expect(buffers()).toBe(1);
    x.write([5, 6, 7, 8]);
    x.dispose();
    x.dispose();
    expect([...view.dataSync()]).toEqual([5, 6, 7, 8]);
    expect(() => x.dataSync()).toThrow('a tensor float32 [4] was used after it was disposed');
    view.dispose();
    expect(buffers()).toBe(0);
    expect(engine.memory().bytes).toBe(0);
  });

  it('are disposable resources', () => {
    // `using` calls this; not every test tool parses the keyword yet.
    const tensor = engine.ones([1]);
    tensor[Symbol.dispose]();
    expect(tensor.disposed).toBe(true);
    expect(buffers()).toBe(0);
  });

  it('can be read while they are disposed', async () => {
    const x = engine.tensor([1, 2]);
    const reading = x.data();
    x.dispose();
    expect([...(await reading)]).toEqual([1, 2]);
    await expect(x.data()).rejects.toThrow('was used after it was disposed');
    await expect(engine.scalar(3).item()).resolves.toBe(3);
  });

  it('take bytes by dtype and report the peak', () => {
    engine.scope(() => {
      engine.zeros([10], 'float16');
      engine.zeros([10], 'bool');
      expect(engine.memory()).toEqual({ buffers: 2, bytes: 30, peakBytes: 30 });
    });
    expect(engine.memory()).toEqual({ buffers: 0, bytes: 0, peakBytes: 30 });
    engine.resetPeakMemory();
    expect(engine.memory().peakBytes).toBe(0);
  });

  it('may be disposed after their engine', () => {
    const x = engine.ones([2]);
    engine.dispose();
    expect(() => x.dispose()).not.toThrow();
    expect(engine.memory()).toMatchObject({ buffers: 0, bytes: 0 });
  });
});

describe('numbers as arguments', () => {
  it('are made once, outside of scopes and reports', () => {
    let fills = 0;
    const backend = createCpuBackend();
    const counted = { ...backend.kernels, fill: (...args: Parameters<typeof backend.kernels.fill>) => (fills++, backend.kernels.fill(...args)) };
    const own = createEngine({ ...backend, kernels: counted });
    const x = own.tensor([1, 2]);
    for (let i = 0; i < 5; i++) own.scope(() => expect([...multiply(x, 3).dataSync()]).toEqual([3, 6]));
    expect(fills).toBe(1);
    expect(own.memory().buffers).toBe(1);
    expect([...core.divide(1, multiply(own.tensor([1]), -0)).dataSync()]).toEqual([-Infinity]);
    expect([...core.divide(1, multiply(own.tensor([1]), 0)).dataSync()]).toEqual([Infinity]);
  });

  it('do not pile up when every step has another number', () => {
    const x = engine.tensor([1]);
    for (let i = 0; i < 2000; i++) engine.scope(() => expect(add(x, i).dataSync()[0]).toBe(1 + i));
    expect(engine.memory()).toMatchObject({ buffers: 1, bytes: 4 });
    expect(engine.backend.memory().bytes).toBeLessThan(4 * 600);
  });
});

describe('two engines', () => {
  it('work side by side', () => {
    const other = createEngine(createCpuBackend({ accumulate: 'float64' }));
    const [x, y] = [engine.tensor([1, 2]), other.tensor([3, 4])];
    other.scope(() => void engine.scope(() => exp(other.ones([1])))); // a scope frees its own engine's tensors
    expect(other.memory().buffers).toBe(1);
    expect([...add(x, 1).dataSync(), ...add(y, 1).dataSync()]).toEqual([2, 3, 4, 5]);
  });

  const ints = (on: Engine, ...data: number[]): Tensor => on.tensor(data, [data.length], 'int32');
  it.each<[string, (a: Engine, b: Engine) => unknown]>([
    ['add', (a, b) => core.add(a.ones([1]), b.ones([1]))],
    ['equal', (a, b) => core.equal(a.ones([1]), b.ones([1]))],
    ['select', (a, b) => core.select(a.zeros([1], 'bool'), b.ones([1]), 0)],
    ['matmul', (a, b) => core.matmul(a.ones([1, 1]), b.ones([1, 1]))],
    ['groupedMatmul', (a, b) => core.groupedMatmul(a.ones([1, 1]), a.ones([1, 1, 1]), ints(b, 0, 1))],
    ['concat', (a, b) => core.concat([a.ones([1]), b.ones([1])], 0)],
    ['gatherRows', (a, b) => core.gatherRows(a.ones([1, 1]), ints(b, 0))],
    ['scatterAddRows', (a, b) => core.scatterAddRows(a.ones([1, 1]), ints(b, 0), 1)],
    ['addRows', (a, b) => core.addRows(a.ones([1, 1]), a.ones([1, 1]), ints(b, 0))],
    ['takeAlongLast', (a, b) => core.takeAlongLast(a.ones([1, 1]), reshape(ints(b, 0), [1, 1]))],
    ['addAlongLast', (a, b) => core.addAlongLast(a.ones([1, 1]), reshape(ints(b, 0), [1, 1]), 1)],
    ['layerNorm', (a, b) => core.layerNorm(a.ones([1]), a.ones([1]), b.ones([1]))],
    ['biasActivation', (a, b) => core.biasActivation(a.ones([1, 1]), b.ones([1]), 'relu')],
    ['dropout', (a, b) => core.dropout(a.ones([1]), b.key([0, 0]), { rate: 0.5, stream: 0 })],
    ['attention', (a, b) => core.attention(a.ones([1, 1, 1]), a.ones([1, 1, 1]), b.ones([1, 1, 1]), { heads: 1 })],
    ['attention', (a, b) => core.attention(a.ones([1, 1, 1]), a.ones([1, 1, 1]), a.ones([1, 1, 1]), { heads: 1, keyMask: b.ones([1, 1], 'bool') })],
    ['crossEntropy', (a, b) => core.crossEntropy(a.ones([1, 1]), ints(b, 0))],
    ['linearCrossEntropy', (a, b) => core.linearCrossEntropy(a.ones([1, 1]), b.ones([1, 1]), ints(a, 0))],
    ['combineExperts', (a, b) => core.combineExperts(a.ones([1, 1]), b.ones([1, 1]), reshape(ints(a, 0), [1, 1]), ints(a, 0))],
    ['adamStep', (a, b) => core.adamStep([a.ones([1])], [a.ones([1])], [a.ones([1])], [b.ones([1])], a.ones([8]), { decay: false })],
    ['sumSquares', (a, b) => core.sumSquares([a.ones([1]), b.ones([1])])],
  ])('are not mixed by %s', (op, mix) => {
    const other = createEngine(createCpuBackend({ accumulate: 'float64' }));
    expect(() => mix(engine, other)).toThrow(`${op}: tensors live on different engines: cpu and cpu:float64`);
  });
});
