// Capacity and priority against the published gating functions. Before capacity: packages/routers/test/reference.
import { describe, expect, it } from 'vitest';
import { type Routing, routeBase, routeHash, routeThreshold, routeTopK } from '@xmoe/routers/reference';
import { type DispatchPlan, planDispatch, planStatistics } from '@xmoe/moe/reference';
import { goldenBase, goldenHash, goldenThreshold, goldenTopK } from '../../../testing/src/golden/index.js';

describe.each(goldenThreshold)('threshold golden T=$T N=$N', ({ logits, cases, T }) => {
  it.each(cases)('t=$threshold γ=$gamma least $min_capacity keeps the same claims', (golden) => {
    const routing = routeThreshold(logits, { threshold: golden.threshold });
    const plan = planDispatch(routing, { capacityFactor: golden.gamma, minCapacity: golden.min_capacity });
    expect(plan.capacity).toBe(golden.capacity);
    expect(plan.kept.map(([token, expert]) => [token, expert])).toEqual(golden.kept.map(([token, expert]) => [token, expert]));
    plan.kept.forEach(([, , slot, weight], index) => {
      expect(Math.abs(weight - golden.kept[index][3])).toBeLessThanOrEqual(1e-6);
      if (golden.min_slot_priority_gap > 1e-5) expect(slot).toBe(golden.kept[index][2]);
    });
    expect(plan.kept.length / T).toBe(golden.chosen_num);
    expect(plan.kept.length + plan.dropped.length).toBe(golden.wanted_pairs.length);
  });
});

/** Kept claims [N, k] by expert and rank. */
function keptByRank(routing: Routing, plan: DispatchPlan): number[][] {
  const K = routing.maxChoices;
  const kept = Array.from({ length: routing.experts }, () => new Array<number>(K).fill(0));
  for (const [token, expert] of plan.kept) {
    kept[expert][routing.expertIds.subarray(token * K, token * K + K).indexOf(expert)]++;
  }
  return kept;
}

describe.each(goldenTopK)('top-k golden T=$T N=$N', ({ logits, cases }) => {
  it.each(cases)('k=$k γ=$gamma keeps the same by expert and rank', (golden) => {
    for (const rankOnlyPriority of [false, true]) {
      const routing = routeTopK(logits, { k: golden.k, rankOnlyPriority });
      const plan = planDispatch(routing, { capacityFactor: golden.gamma, minCapacity: golden.min_capacity });
      expect(plan.capacity).toBe(golden.capacity);
      expect(keptByRank(routing, plan)).toEqual(golden.kept_by_expert_and_rank);
      expect(plan.dropped.length > 0).toBe(golden.capacity_binds);
      const expected = golden.kept_pairs_weight ?? [];
      if (golden.capacity_binds) return;
      expect(plan.kept.map(([token, expert]) => [token, expert])).toEqual(expected.map(([token, expert]) => [token, expert]));
      plan.kept.forEach(([, , , weight], index) => expect(Math.abs(weight - expected[index][2])).toBeLessThanOrEqual(1e-6));
    }
  });
});

describe.each(goldenBase)('BASE golden T=$T N=$N', ({ logits, T, eval: evaluations }) => {
  it.each(evaluations)('evaluation γ=$gamma keeps the same counts', (golden) => {
    const plan = planDispatch(routeBase(logits), { capacityFactor: golden.gamma });
    expect(plan.capacity).toBe(golden.capacity);
    expect([...planStatistics(plan).keptPerExpert]).toEqual(golden.kept);
    expect([...planStatistics(plan).wantedPerExpert]).toEqual(golden.received);
  });

  it('training drops nothing at γ = 1', () => {
    const plan = planDispatch(routeBase(logits, { training: true }));
    expect([plan.kept.length, plan.dropped.length]).toEqual([T, 0]);
  });
});

describe('hash golden', () => {
  it.each(goldenHash)('T=$T N=$N γ=$gamma keeps the same counts', (golden) => {
    const routing = routeHash(golden.token_ids, { experts: golden.N, map: golden.map });
    const plan = planDispatch(routing, { capacityFactor: golden.gamma });
    expect(plan.capacity).toBe(golden.capacity);
    expect([...planStatistics(plan).keptPerExpert]).toEqual(golden.kept);
  });
});
