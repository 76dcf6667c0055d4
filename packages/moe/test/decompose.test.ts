// A dense layer split into experts is the same function when all experts run with weight 1, and the FLOP formulas.
import { describe, expect, it } from 'vitest';
import { createEngine, foldIn, hostNormal, randomKey } from '@xmoe/core';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { applyExperts, denseFlops, equalFlopsHidden, moeFlops, planDispatch, splitDense, type DispatchPath } from '@xmoe/moe';
import { activationOf, moeFlops as plainFlops, planDispatch as plainPlan } from '@xmoe/moe/reference';
import { createThresholdRouter } from '@xmoe/routers';
import { routeTopK } from '@xmoe/routers/reference';

const [T, d, D] = [5, 3, 12];
const normal = (name: string, length: number): Float64Array => Float64Array.from(hostNormal(foldIn(randomKey(2), name), length));
const dense = { w1: normal('w1', d * D), b1: normal('b1', D), w2: normal('w2', D * d), b2: normal('b2', d) };
const x = normal('x', T * d);

/** W2·act(W1·x + b1) + b2 of the dense layer, [T, d]. */
function denseForward(): number[] {
  const { value } = activationOf('gelu-erf');
  return Array.from({ length: T * d }, (_, index) => {
    const [token, i] = [Math.floor(index / d), index % d];
    let out = dense.b2[i];
    for (let j = 0; j < D; j++) {
      let before = dense.b1[j];
      for (let row = 0; row < d; row++) before += dense.w1[row * D + j] * x[token * d + row];
      out += value(before) * dense.w2[j * d + i];
    }
    return out;
  });
}

describe('splitDense', () => {
  it('takes hidden units in an order, and refuses what is none', () => {
    const order = [3, 0, 11, 7, 1, 2, 10, 4, 9, 5, 8, 6];
    const sizes = { width: d, hidden: D, experts: 4 };
    const { w1, b1, w2 } = splitDense(dense, { ...sizes, order });
    order.forEach((unit, at) => {
      const [expert, column] = [Math.floor(at / 3), at % 3];
      expect(b1[at]).toBe(Math.fround(dense.b1[unit]));
      for (let row = 0; row < d; row++) {
        expect(w1[(expert * d + row) * 3 + column]).toBe(Math.fround(dense.w1[row * D + unit]));
        expect(w2[at * d + row]).toBe(Math.fround(dense.w2[unit * d + row]));
      }
    });
    for (const wrong of [[0, 1], order.with(0, 0), order.with(0, 12)]) expect(() => splitDense(dense, { ...sizes, order: wrong })).toThrow('different units of 12');
  });

  it.each([1, 2, 3, 4, 12])('%d experts with weight 1 sum to the dense layer on every path (Eq. 4)', async (N) => {
    const engine = createEngine(createCpuBackend({ accumulate: 'float64' }));
    const s = D / N;
    const split = splitDense(dense, { width: d, hidden: D, experts: N });
    const weights = {
      w1: engine.tensor(split.w1, [N, d, s]),
      b1: engine.tensor(split.b1, [N, s]),
      w2: engine.tensor(split.w2, [N, s, d]),
      b2: engine.tensor(split.b2, [N, d]),
    };
    const input = engine.tensor(Array.from(x), [T, d], 'float32');
    const router = createThresholdRouter({ threshold: 1 });
    const routing = router.route({ engine, logits: engine.zeros([T, N]), tokens: T, experts: N });
    for (const dispatch of ['padded', 'grouped', 'budget'] as const) {
      const plan = planDispatch(routing, { dispatch, capacityFactor: N });
      const { output } = applyExperts(input, engine.ones([T, N]), plan, weights, 'gelu-erf');
      const y = await output.data();
      denseForward().forEach((expected, index) => expect(Math.abs(y[index] - expected)).toBeLessThan(2e-6)); // b2/N is rounded once
    }
    engine.dispose();
  });

  it('moves every number of a float32 layer unchanged', () => {
    const split = splitDense(dense, { width: d, hidden: D, experts: 4 });
    expect([...split.w1].toSorted((a, b) => a - b)).toEqual([...Float32Array.from(dense.w1)].toSorted((a, b) => a - b));
    expect([...split.w2]).toEqual([...Float32Array.from(dense.w2)]);
    expect([...split.b1]).toEqual([...Float32Array.from(dense.b1)]);
    expect(split.w1[1 * d * 3 + 2 * 3 + 1]).toBe(Math.fround(dense.w1[2 * D + 4])); // expert 1, row 2, unit 1
  });

  it('refuses sizes that do not divide and arrays of another length', () => {
    expect(() => splitDense(dense, { width: d, hidden: D, experts: 5 })).toThrow(/5 experts do not divide a hidden size of 12/);
    expect(() => splitDense({ ...dense, b1: [1] }, { width: d, hidden: D, experts: 4 })).toThrow(/b1 has 1 numbers, expected 12/);
  });
});

describe('FLOPs', () => {
  it.each(['padded', 'grouped', 'budget'] as DispatchPath[])('equal the plain figures on the %s path', (dispatch) => {
    const logits = Array.from({ length: 9 }, (_, token) => [token % 3, token % 2, 0.5, -1]);
    const plan = plainPlan(routeTopK(logits, { k: 2 }), { dispatch, capacityFactor: 1.5, minCapacity: 2 });
    const options = { tokens: 9, experts: 4, width: 5, hidden: 7, dispatch, capacityFactor: 1.5, minCapacity: 2, kept: plan.kept.length };
    expect(moeFlops(options)).toEqual(plainFlops(plan, { d: 5, s: 7, capacityFactor: 1.5 }));
    expect(moeFlops({ ...options, gate: false }).router).toBe(0);
  });

  it('the budget is that of the dense layer of size γ·s', () => {
    const hidden = equalFlopsHidden({ capacityFactor: 8, hidden: 384 });
    expect(hidden).toBe(3072);
    const { budgeted } = moeFlops({ tokens: 100, experts: 64, width: 768, hidden: 384, dispatch: 'padded', capacityFactor: 8, kept: 0 });
    expect(budgeted).toBe(denseFlops({ tokens: 100, width: 768, hidden }));
  });
});
