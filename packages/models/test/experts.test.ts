// What a layer's routing costs: the backward pass multiplies by row once more, and once for the weights.
import { expect, it } from 'vitest';
import { layerRoutingOf } from '../src/sections/experts.js';

it('counts executed operations pass by pass', () => {
  const summary = { tokens: 10, tokensByCount: [0, 0, 10], expertsPerToken: 2, keptPerToken: 1.5, dropRate: 0.25, load: [1], executedRows: 15, executedGradientRows: 40, positiveShare: null };
  const cost = { capacityFactor: 4, flopsPerClaim: 100, sharedFlops: 0 };
  expect(layerRoutingOf(summary, { ...cost, training: false })).toMatchObject({ budgetedFlops: 4000, executedFlops: 1500 });
  expect(layerRoutingOf(summary, { ...cost, training: true })).toMatchObject({ budgetedFlops: 12_000, executedFlops: 2 * 1500 + 4000 });
  expect(layerRoutingOf(summary, { ...cost, sharedFlops: 7, training: false })).toMatchObject({ budgetedFlops: 4070, executedFlops: 1570 });
  expect(layerRoutingOf(summary, { ...cost, sharedFlops: 7, training: true })).toMatchObject({ budgetedFlops: 12_210, executedFlops: 7210 });
});
