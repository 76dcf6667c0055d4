// The reference layer against a float64 forward and backward pass of another implementation.
import { describe, expect, it } from 'vitest';
import { routeThreshold } from '@xmoe/routers/reference';
import { type MoeLayerInput, moeLayerGradients, moeLayerReference } from '@xmoe/moe/reference';
import { type GoldenLayerCase, type Rows, goldenLayer } from '../../../testing/src/golden/index.js';

const transpose = (rows: Rows): number[][] => rows[0].map((_, column) => rows.map((row) => row[column]));

/** The golden case in our layouts: routerWeight [d, N], w1 [N, d, s], w2 [N, s, d]. */
function inputOf(golden: GoldenLayerCase): MoeLayerInput {
  return {
    T: golden.T,
    N: golden.N,
    d: golden.d,
    s: golden.ffn,
    x: golden.x.flat(),
    parameters: {
      routerWeight: transpose(golden.router_weight).flat(),
      w1: golden.w1.flatMap((expert) => transpose(expert).flat()),
      b1: golden.b1.flat(),
      w2: golden.w2.flatMap((expert) => transpose(expert).flat()),
      b2: golden.b2.flat(),
    },
    route: (logits) => routeThreshold(logits, { threshold: golden.threshold, precision: 'float64' }),
    capacityFactor: golden.gamma,
    minCapacity: golden.min_capacity,
  };
}

/** |actual − expected| ≤ relative · max(|expected|) over the whole array. */
function expectClose(actual: ArrayLike<number>, expected: readonly number[], relative: number): void {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  const worst = Math.max(...expected.map((value, index) => Math.abs(actual[index] - value)));
  expect(worst).toBeLessThanOrEqual(relative * scale);
}

describe.each(goldenLayer)('layer golden t=$threshold γ=$gamma N=$N', (golden) => {
  const input = inputOf(golden);

  it('forward', () => {
    const { y, plan, routing, combineWeights, positiveShare } = moeLayerReference(input);
    expect(plan.capacity).toBe(golden.capacity);
    expectClose(y, golden.y.flat(), 1e-9);
    expectClose(combineWeights, golden.combine_weights.flat(), 1e-9);
    expect(routing.balanceLoss).toBeCloseTo(golden.l_aux, 10);
    expect(positiveShare).toBeCloseTo(golden.positive_share_routed_only, 12);
    const served = new Set(plan.kept.map(([token]) => token));
    expect(Array.from({ length: golden.T }, (_, token) => token).filter((token) => !served.has(token))).toEqual(golden.dropped_tokens);
  });

  it('gradients', () => {
    const gradients = moeLayerGradients(input, golden.upstream_grad.flat());
    const { N, d, ffn: s } = golden;
    expectClose(gradients.x, golden.grad_x.flat(), 1e-9);
    expectClose(gradients.routerWeight, transpose(golden.grad_router).flat(), 1e-9);
    expectClose(gradients.w1.subarray(0, d * s), transpose(golden.grad_w1_expert0).flat(), 1e-9);
    expectClose(gradients.b2.subarray(0, d), golden.grad_b2_expert0, 1e-9);
    expect(gradients.w2).toHaveLength(N * s * d);
  });

  it('gradients of the auxiliary loss alone', () => {
    const gradients = moeLayerGradients(input, new Float64Array(golden.T * golden.d), { balance: 1 });
    expectClose(gradients.x, golden.grad_aux_x.flat(), 1e-9);
    expectClose(gradients.routerWeight, transpose(golden.grad_aux_router).flat(), 1e-9);
    expect(gradients.w1.every((value) => value === 0)).toBe(true);
  });
});
