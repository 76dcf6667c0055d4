// The experts as one op: what it keeps for the backward pass, what it computes for whom, and what it refuses. Its numbers are in
// layer.test.ts.
import { afterAll, describe, expect, it } from 'vitest';
import { createEngine, grad, sum, vjp, type RequiredKernels, type Tensor } from '@xmoe/core';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { applyExperts, planDispatch, type DispatchPath, type DispatchPlan, type ExpertWeights } from '@xmoe/moe';
import { createTopKRouter } from '@xmoe/routers';

const [T, N, d, s, K] = [24, 4, 6, 10, 2];
const calls: string[] = [];
const backend = createCpuBackend();
// Without the two kernels of whole passes, so that the calls of those that they are made of are seen.
const { expertsForward: _forward, expertsBackward: _backward, ...parts } = backend.kernels;
const recorded = Object.fromEntries(
  Object.entries(parts).map(([name, kernel]) => [name, (...operands: never[]) => (calls.push(name), (kernel as (...rest: never[]) => void)(...operands))]),
) as unknown as RequiredKernels;
const engine = createEngine({ ...backend, kernels: recorded });
afterAll(() => engine.dispose());

const PATHS: readonly DispatchPath[] = ['padded', 'grouped', 'budget'];
const numbers = (...shape: number[]): Tensor => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return engine.tensor(Array.from({ length: size }, (_, index) => Math.sin(1.3 * index + size)), shape, 'float32');
};
const x = numbers(T, d);
const experts: ExpertWeights = { w1: numbers(N, d, s), b1: numbers(N, s), w2: numbers(N, s, d), b2: numbers(N, d) };
const routing = createTopKRouter({ k: K }).route({ engine, logits: numbers(T, N), tokens: T, experts: N });
const planOf = (dispatch: DispatchPath): DispatchPlan => planDispatch(routing, { dispatch, capacityFactor: 1.5 });

describe('the experts as one op', () => {
  it.each(PATHS)('%s: keep what goes into the activation, and no other row', (dispatch) => {
    const plan = planOf(dispatch);
    const before = engine.memory().bytes;
    const inputs = [x, routing.weights, experts.w1, experts.b1, experts.w2, experts.b2];
    const { output, dispose } = vjp(engine, (rows, weights, w1, b1, w2, b2) => applyExperts(rows!, weights!, plan, { w1: w1!, b1: b1!, w2: w2!, b2: b2! }, 'relu').output, inputs);
    const kept = engine.memory().bytes - before - 4 * output.size;
    expect(kept).toBe(4 * plan.rows * s + (dispatch === 'padded' ? 4 * plan.rows : 0)); // padded: which slots are empty
    dispose();
    output.dispose();
    expect(engine.memory().bytes).toBe(before);
  });

  it.each(PATHS)('%s: without gradients keep nothing', (dispatch) => {
    const plan = planOf(dispatch);
    const before = engine.memory().bytes;
    engine.resetPeakMemory();
    const { output } = applyExperts(x, routing.weights, plan, experts, 'gelu-tanh');
    expect(engine.memory().bytes - before).toBe(4 * T * d);
    const most = plan.rows * (s + d) + plan.rows; // hidden and expert outputs; which slots are empty
    expect(engine.memory().peakBytes - before).toBeLessThanOrEqual(4 * (most + 2));
    output.dispose();
  });

  it('the backward pass computes what is wanted, and nothing for what is frozen', () => {
    const plan = planOf('padded');
    const backwardOf = (wanted: Record<string, Tensor>): Record<string, number> => {
      engine.scope(() => {
        grad(engine, (inputs: Record<string, Tensor>) => {
          const given = { x, weights: routing.weights, ...experts, ...inputs };
          const { output } = applyExperts(given.x, given.weights, plan, given, 'gelu-erf');
          calls.length = 0;
          return sum(output);
        }, wanted);
      });
      const count = (name: string): number => calls.filter((call) => call === name).length;
      return { linear: count('groupedLinear'), weights: count('groupedLinearWeightGrad'), middle: count('expertsGrad'), combine: count('combineExperts') };
    };
    const { w1, b1, w2, b2 } = experts;
    expect(backwardOf({ x, weights: routing.weights, w1, b1, w2, b2 })).toEqual({ linear: 2, weights: 2, middle: 1, combine: 1 });
    expect(backwardOf({ weights: routing.weights, w1, b1, w2, b2 })).toEqual({ linear: 1, weights: 2, middle: 1, combine: 0 });
    expect(backwardOf({ x })).toEqual({ linear: 2, weights: 0, middle: 1, combine: 1 });
    expect(backwardOf({ weights: routing.weights })).toEqual({ linear: 1, weights: 0, middle: 1, combine: 0 });
    expect(backwardOf({ b2 })).toEqual({ linear: 1, weights: 1, middle: 1, combine: 0 });
  });

  it('counts positive hidden units of kept claims alone', async () => {
    for (const dispatch of PATHS) {
      const plan = planOf(dispatch);
      const positive = { ...experts, w1: engine.zeros([N, d, s]), b1: engine.ones([N, s]) }; // an empty row would count too
      const result = applyExperts(x, routing.weights, plan, positive, 'relu', { trackPositive: true });
      expect(await result.positive!.item()).toBe(s * (await sum(plan.keptPerExpert).item()));
    }
    expect(applyExperts(x, routing.weights, planOf('padded'), experts, 'relu').positive).toBeNull();
  });

  it('refuses parts that do not fit each other', () => {
    const plan = planOf('grouped');
    const other = createTopKRouter({ k: 1 }).route({ engine, logits: numbers(T, N), tokens: T, experts: N });
    expect(() => applyExperts(x, other.weights, plan, experts, 'relu')).toThrow(/weights are \[24, 1\] and x \[24, 6\], the plan is for claims \[24, 2\]/);
    expect(() => applyExperts(numbers(T + 1, d), routing.weights, plan, experts, 'relu')).toThrow(/x \[25, 6\]/);
    expect(() => applyExperts(x, routing.weights, plan, { ...experts, w2: numbers(N, s + 1, d) }, 'relu')).toThrow(/w2 is \[4, 11, 6\], expected \[4, 10, 6\]/);
    const half = { ...experts, b1: engine.zeros([N, s], 'float16') };
    expect(() => applyExperts(x, routing.weights, plan, half, 'relu')).toThrow(expect.objectContaining({ code: 'dtype', hint: 'keep parameters in float32' }));
  });
});
