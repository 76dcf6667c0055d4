// How gradients behave: trees, unused and shared parameters, refusals, and what is alive when. Their values are checked
// against central differences in @xmoe/testing.
import { createCpuBackend } from '@xmoe/backend-cpu';
import {
  add, checkpoint, createEngine, customGradient, exp, grad, matmul, mean, multiply, reshape, sin, slice, square, sum, tanh, topK, valueAndGrad, vjp,
  type Engine, type Tensor,
} from '@xmoe/core';
import { beforeEach, describe, expect, it } from 'vitest';

let engine: Engine;
beforeEach(() => {
  engine = createEngine(createCpuBackend());
});

const values = (tensor: Tensor): number[] => [...tensor.dataSync()];

describe('valueAndGrad', () => {
  it('gives gradients in the tree of the parameters, zeros for what is unused', () => {
    const parameters = { layers: [{ w: engine.tensor([2, 3]) }, { w: engine.tensor([5]), unused: engine.ones([2, 2]) }], none: null };
    const { loss, gradients, aux } = valueAndGrad(engine, ({ layers }: typeof parameters) => {
      const [first, second] = layers;
      return { loss: sum(multiply(square(first!.w), second!.w)), aux: { doubled: multiply(first!.w, 2), label: 'kept' } };
    }, parameters);
    expect(values(loss)).toEqual([65]);
    expect(values(gradients.layers[0]!.w)).toEqual([20, 30]);
    expect(values(gradients.layers[1]!.w)).toEqual([13]);
    expect(values(gradients.layers[1]!.unused!)).toEqual([0, 0, 0, 0]);
    expect(gradients.layers[1]!.unused!.shape).toEqual([2, 2]);
    expect(gradients.none).toBeNull();
    expect(aux.label).toBe('kept');
    expect(values(aux.doubled)).toEqual([4, 6]);
  });

  it('adds the gradients of a parameter that is used several times, or occurs twice in the tree', () => {
    const w = engine.tensor([3]);
    const { gradients } = valueAndGrad(engine, ({ a, b }) => sum(add(multiply(a, b), add(a, square(a)))), { a: w, b: w });
    expect(values(gradients.a)).toEqual([13]); // w² + w + w²
    expect(gradients.b).toBe(gradients.a);
  });

  it('tells of each gradient as soon as it is whole, that of a parameter used early and late at the end', () => {
    const [tied, first, last, unused] = [engine.tensor([2]), engine.tensor([3]), engine.tensor([5]), engine.tensor([7])];
    const told: [number, number[], number][] = [];
    let backward = 0;
    const counted = (x: Tensor): Tensor => customGradient('counted', [x], () => ({ outputs: multiply(x, 1), saved: [] }), ([dy]) => {
      backward++;
      return [dy!];
    });
    const fn = (w: Record<string, Tensor>): Tensor => {
      const inner = counted(multiply(w.tied!, w.first!));
      return sum(add(counted(multiply(inner, w.last!)), multiply(inner, w.tied!)));
    };
    const parameters = { tied: tied!, first: first!, last: last!, unused: unused! };
    const onto = { tied: engine.tensor([100]), first: engine.tensor([0]), last: engine.tensor([0]), unused: engine.tensor([1]) };
    const { gradients } = valueAndGrad(engine, fn, parameters, { onto, whenWhole: (index, gradient) => told.push([index, values(gradient), backward]) });
    // tied²·first + tied·first·last
    expect(told).toEqual([[2, [6], 1], [0, [127], 2], [1, [14], 2], [3, [1], 2]]);
    expect(Object.values(gradients).map(values)).toEqual([[127], [14], [6], [1]]);
    const alone: number[][] = [];
    valueAndGrad(engine, ({ x }: { x: Tensor; y: Tensor }) => sum(x), { x: first!, y: unused! }, { whenWhole: (index, gradient) => alone.push([index, ...values(gradient)]) });
    expect(alone).toEqual([[0, 1], [1, 0]]);
  });

  it('tells of what a checkpoint closes over when the checkpoint is done', () => {
    const [x, w] = [engine.tensor([2]), engine.tensor([3])];
    const told: number[] = [];
    const loss = (p: { x: Tensor; w: Tensor }): Tensor => sum(multiply(checkpoint(engine, (y: Tensor) => multiply(multiply(y, p.w), p.w), [p.x]), p.w));
    const { gradients } = valueAndGrad(engine, loss, { x: x!, w: w! }, { whenWhole: (index, gradient) => told.push(index, ...values(gradient)) });
    expect(told).toEqual([0, 27, 1, 54]);
    expect(values(gradients.w)).toEqual([54]);
    // In two checkpoints: once, after the first of them.
    const shared: number[] = [];
    const half = (y: Tensor, p: { w: Tensor }): Tensor => checkpoint(engine, (z: Tensor) => multiply(z, p.w), [y]);
    valueAndGrad(engine, (p: { x: Tensor; w: Tensor }) => sum(half(half(p.x, p), p)), { x: x!, w: w! }, { whenWhole: (index, gradient) => shared.push(index, ...values(gradient)) });
    expect(shared).toEqual([0, 9, 1, 12]);
  });

  it('scales the gradients, not the loss, by the seed', () => {
    const x = engine.tensor([1, 2]);
    const { loss, gradients } = valueAndGrad(engine, (w: Tensor) => sum(square(w)), x, { seed: engine.scalar(1024) });
    expect(values(loss)).toEqual([5]);
    expect(values(gradients)).toEqual([2048, 4096]);
  });

  it('takes a parameter as the loss, and a loss of shape [1]', () => {
    expect(values(grad(engine, (w: Tensor) => w, engine.scalar(7)))).toEqual([1]);
    expect(values(grad(engine, (w: Tensor) => reshape(sum(multiply(w, 3)), [1]), engine.tensor([1, 2])))).toEqual([3, 3]);
  });

  it('does not record inside noGrad', () => {
    const x = engine.tensor([2]);
    const gradient = grad(engine, (w: Tensor) => sum(multiply(w, engine.noGrad(() => square(w)))), x);
    expect(values(gradient)).toEqual([4]);
  });

  it('passes the gradient to one of several outputs only', () => {
    const x = engine.tensor([1, 3, 2], [1, 3]);
    expect(values(grad(engine, (w: Tensor) => sum(slice(topK(w, 2).values, [0, 1], [1, 1])), x))).toEqual([0, 0, 1]);
  });

  it.each<[string, (w: Tensor) => Tensor, RegExp]>([
    ['a loss of two elements', (w) => square(w), /the loss must be one float32, got float32 \[2\]/],
    ['an inner valueAndGrad', (w) => grad(engine, (v: Tensor) => sum(v), w), /gradients of gradients are not supported/],
    ['an inner vjp', (w) => vjp(engine, (v) => v, [w]).output, /gradients of gradients are not supported/],
    ['an exception', (w) => {
      square(exp(w));
      throw new Error('mine');
    }, /mine/],
    ['a custom gradient of the wrong shape', (w) => sum(customGradient('odd', [w], () => ({ outputs: exp(w), saved: [w] }), ([dy]) => [sum(dy!)])),
      /odd: the gradient of input 0 is float32 \[\], the input float32 \[2\]/],
    ['a custom gradient that throws', (w) => sum(customGradient('odd', [w], () => ({ outputs: exp(w), saved: [w] }), () => {
      throw new Error('mine');
    })), /mine/],
  ])('refuses %s and leaves nothing behind', (_, fn, message) => {
    const w = engine.tensor([1, 2]);
    const before = engine.memory();
    expect(() => valueAndGrad(engine, fn, w)).toThrow(message);
    expect(engine.memory()).toEqual({ ...before, peakBytes: expect.any(Number) as number });
    expect(engine.tape).toBeUndefined();
    expect(values(grad(engine, (v: Tensor) => sum(square(v)), w))).toEqual([2, 4]);
  });

  it('refuses tensors of another engine, an odd seed, and trees of other things', () => {
    const other = createEngine(createCpuBackend());
    expect(() => grad(engine, (w: Tensor) => w, other.scalar(1))).toThrow('a tensor lives on another engine');
    expect(() => grad(engine, () => other.scalar(1), engine.scalar(1))).toThrow('a tensor lives on another engine');
    expect(() => valueAndGrad(engine, (w: Tensor) => w, engine.scalar(1), { seed: engine.ones([2]) })).toThrow('the seed must be one float32');
    const tree = new Map([['w', engine.scalar(1)]]) as unknown as Tensor;
    expect(() => grad(engine, () => engine.scalar(0), tree)).toThrow('a tree of tensors holds a Map');
  });

  it('tells a tensor that was disposed before it was used', () => {
    const w = engine.tensor([1]);
    expect(() => grad(engine, (v: Tensor) => {
      const gone = exp(v);
      gone.dispose();
      return sum(gone);
    }, w)).toThrow('sum: x float32 [1] was used after it was disposed');
  });
});

describe('memory of the backward pass', () => {
  const chain = (steps: number) => (w: Tensor): Tensor => {
    let x = w;
    for (let step = 0; step < steps; step++) x = exp(multiply(x, 0.1));
    return sum(x);
  };

  it('keeps saved tensors although their scope has ended, and frees them all in the end', () => {
    const w = engine.tensor([0.5]);
    const before = engine.memory().buffers;
    const { loss, gradients } = valueAndGrad(engine, (v: Tensor) => sum(engine.scope(() => square(engine.scope(() => exp(v))))), w);
    expect(values(gradients)[0]).toBeCloseTo(2 * Math.E, 5);
    expect(engine.memory().buffers).toBe(before + 2);
    loss.dispose();
    gradients.dispose();
    expect(engine.memory().buffers).toBe(before);
  });

  it('keeps only what gradients read: sums save nothing, exp saves its output alone', () => {
    const w = engine.zeros([1000]);
    const peakOf = (fn: (v: Tensor) => Tensor): number => {
      engine.resetPeakMemory();
      const before = engine.memory().bytes;
      engine.scope(() => valueAndGrad(engine, fn, w));
      return Math.round((engine.memory().peakBytes - before) / 4000);
    };
    const sums = (v: Tensor): Tensor => sum(engine.scope(() => {
      let x = v;
      for (let i = 0; i < 10; i++) x = engine.scope(() => add(x, 1));
      return x;
    }));
    expect(peakOf((v) => engine.scope(() => sums(v)))).toBeLessThanOrEqual(12);
    const forward = peakOf((v) => engine.noGrad(() => chain(10)(v))); // everything at once
    expect(forward).toBe(20); // the results of all steps
    // The backward pass frees as it goes: its own tensors come on top of ten saved ones, not of twenty.
    expect(peakOf(chain(10))).toBeLessThan(forward + 2);
  });

  it('frees each saved activation once its gradient is done', () => {
    const w = engine.zeros([1000]);
    const alive: number[] = [];
    engine.scope(() => valueAndGrad(engine, (v: Tensor) => {
      let x = v;
      for (let step = 0; step < 5; step++) {
        const input = x;
        x = customGradient('probe', [input], () => ({ outputs: exp(input), saved: [input] }), ([dy]) => {
          alive.push(Math.round(engine.memory().bytes / 4000));
          return [multiply(dy!, 1)];
        });
      }
      return sum(x);
    }, w));
    // w, five saved inputs (one of them w), and the gradient at hand; one less at each step.
    expect(alive.length).toBe(5);
    alive.slice(1).forEach((count, step) => expect(count).toBe(alive[step]! - 1));
  });

  it('has flat live buffers and bytes over 50 training steps', () => {
    const parameters = { w: engine.tensor(Float32Array.from({ length: 12 }, (_, i) => Math.sin(i)), [3, 4]), b: engine.zeros([4]) };
    const x = engine.ones([2, 3]);
    const seen = new Set<string>();
    for (let step = 0; step < 50; step++) {
      engine.scope(() => {
        const { gradients } = valueAndGrad(engine, ({ w, b }: typeof parameters) => mean(square(tanh(add(matmul(x, w), b)))), parameters);
        parameters.w.write(values(add(parameters.w, multiply(gradients.w, -0.1 * step))));
      });
      const { buffers, bytes } = engine.memory();
      seen.add(`${buffers} ${bytes}`);
    }
    expect([...seen]).toEqual(['3 88']);
  });
});

describe('vjp', () => {
  it('runs the backward pass on demand, for any seed, once', () => {
    const [x, y] = [engine.tensor([1, 2]), engine.tensor([3, 4])];
    const before = engine.memory().buffers;
    const { output, pullback } = vjp(engine, (a, b) => multiply(a!, b!), [x, y]);
    expect(values(output)).toEqual([3, 8]);
    const gradients = pullback(engine.tensor([1, 10]));
    expect(gradients.map(values)).toEqual([[3, 40], [1, 20]]);
    expect(() => pullback(output)).toThrow('the pullback ran already');
    expect(engine.memory().buffers).toBe(before + 4);
  });

  it('refuses a seed of another shape, and frees what it saved when disposed or when fn fails', () => {
    const x = engine.tensor([1, 2]);
    const before = engine.memory().buffers;
    const result = vjp(engine, (a) => exp(sin(exp(a!))), [x]);
    expect(() => result.pullback(engine.scalar(1))).toThrow('dy is float32 [], the output float32 [2]');
    result.dispose();
    result.output.dispose();
    expect(() => vjp(engine, (a) => {
      exp(sin(a!));
      throw new Error('mine');
    }, [x])).toThrow('mine');
    expect(engine.memory().buffers).toBe(before + 1); // the scalar above
  });
});

describe('customGradient', () => {
  it('gives an input that is passed through an identity of its own', () => {
    const x = engine.tensor([2]);
    // Forward the identity, backward ten times the gradient (as a straight-through estimator does).
    const ten = (v: Tensor): Tensor => customGradient('ten', [v], () => ({ outputs: v, saved: [] }), ([dy]) => [multiply(dy!, 10)]);
    expect(values(grad(engine, (v: Tensor) => sum(add(ten(v), multiply(v, 3))), x))).toEqual([13]);
    expect(values(engine.scope(() => ten(x)))).toEqual([2]);
  });

  it('frees the temporaries of forward and tells backward which inputs matter', () => {
    const [x, fixed] = [engine.tensor([2]), engine.tensor([5])];
    let seen: readonly boolean[] = [];
    const before = engine.memory().buffers;
    engine.scope(() => void grad(engine, (v: Tensor) => sum(customGradient('named', [v, fixed],
      () => ({ outputs: exp(exp(multiply(v, fixed))), saved: [] }), ([dy], _saved, needs) => {
        seen = needs;
        return [dy!, null];
      })), x));
    expect(seen).toEqual([true, false]);
    expect(engine.memory().buffers).toBe(before);
    expect(() => customGradient('empty', [], () => ({ outputs: x, saved: [] }), () => [])).toThrow('empty: there are no inputs');
  });
});
