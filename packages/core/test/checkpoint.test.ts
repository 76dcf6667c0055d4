// Activation checkpointing: the same gradients with fewer live activations.
import { createCpuBackend } from '@xmoe/backend-cpu';
import {
  add, checkpoint, createEngine, dropout, exp, foldIn, hostNormal, matmul, multiply, sum, tanh, valueAndGrad,
  type Engine, type Tensor,
} from '@xmoe/core';
import { beforeEach, describe, expect, it } from 'vitest';

let engine: Engine;
beforeEach(() => {
  engine = createEngine(createCpuBackend({ accumulate: 'float64' }));
});

const values = (tensor: Tensor): number[] => [...tensor.dataSync()];
const LAYERS = 6;

function network(checkpointed: boolean) {
  return ({ x, w }: { x: Tensor; w: readonly Tensor[] }): Tensor => {
    let h = x;
    for (const weight of w) {
      const layer = (input: Tensor): Tensor => add(input, tanh(exp(tanh(multiply(matmul(input, weight), 0.3)))));
      h = checkpointed ? checkpoint(engine, (input) => layer(input!), [h]) : engine.scope(() => layer(h));
    }
    return sum(h);
  };
}

describe('checkpoint', () => {
  it('gives the gradients of the plain network at a lower peak', () => {
    const parameters = {
      x: engine.tensor(hostNormal([1, 1], 32 * 16), [32, 16]),
      w: Array.from({ length: LAYERS }, (_, i) => engine.tensor(hostNormal(foldIn([1, 2], i), 256), [16, 16])),
    };
    const run = (checkpointed: boolean): { numbers: number[]; peak: number } => {
      engine.resetPeakMemory();
      const before = engine.memory().bytes;
      const numbers = engine.scope(() => {
        const { loss, gradients } = valueAndGrad(engine, network(checkpointed), parameters);
        return [loss, gradients.x, ...gradients.w].flatMap(values);
      });
      expect(engine.memory().bytes).toBe(before);
      return { numbers, peak: engine.memory().peakBytes - before };
    };
    const plain = run(false);
    const saved = run(true);
    expect(saved.numbers).toEqual(plain.numbers);
    expect(saved.peak).toBeLessThan(0.6 * plain.peak);
  });

  it('handles results that are trees, inputs passed through, and inputs that fn also closes over', () => {
    const [x, w] = [engine.tensor([2]), engine.tensor([3])];
    const { gradients } = valueAndGrad(engine, (p: { x: Tensor; w: Tensor }) => {
      const { same, product, weight, count } = checkpoint(engine, (input) =>
        ({ same: input!, product: multiply(multiply(input!, p.x), p.w), weight: p.w, count: 7 }), [p.x]);
      expect(count).toBe(7);
      return sum(add(add(same, product), multiply(weight, 10)));
    }, { x, w });
    expect(values(gradients.x)).toEqual([13]); // 1 + 2·x·w
    expect(values(gradients.w)).toEqual([14]); // x² + 10
  });

  it('draws the same dropout again', () => {
    const [x, key] = [engine.ones([100]), engine.key([1, 2])];
    const run = (fn: (v: Tensor) => Tensor): number[] => values(valueAndGrad(engine, (v: Tensor) => sum(fn(v)), x).gradients);
    const layer = (v: Tensor): Tensor => dropout(exp(v), key, { rate: 0.5, stream: 1 });
    expect(run((v) => checkpoint(engine, (input) => layer(input!), [v]))).toEqual(run(layer));
  });

  it('is a scope without a tape, and leaves nothing when fn throws, forward or backward', () => {
    const x = engine.tensor([1]);
    const before = engine.memory().buffers;
    expect(engine.scope(() => values(checkpoint(engine, (input) => exp(exp(input!)), [x])))[0]).toBeCloseTo(Math.exp(Math.E), 8);
    for (const failingRun of [1, 2]) {
      let runs = 0;
      expect(() => valueAndGrad(engine, (v: Tensor) => sum(checkpoint(engine, (input) => {
        const out = tanh(exp(input!));
        if (++runs === failingRun) throw new Error('mine');
        return out;
      }, [v])), x)).toThrow('mine');
    }
    expect(engine.memory().buffers).toBe(before);
  });
});
