// Capacity in exact arithmetic, and properties of the three dispatch plans.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { routeHash, routeThreshold, routeTopK } from '@xmoe/routers/reference';
import { type Claim, type DispatchPath, budgetOf, capacityOf, comparePriority, listClaims, moeFlops, planDispatch, planStatistics } from '@xmoe/moe/reference';
import { problems } from '../../../routers/test/reference/arbitraries.js';

describe('capacity', () => {
  it.each([
    [20, 2, 1.1, 11], // in floats 1.1 · 20 / 2 is 11.000000000000002
    [30, 3, 0.1, 1],
    [50, 5, 1.1, 11],
    [1000, 7, 0.7, 100],
    [16, 3, 1, 6],
    [64, 8, 1.25, 10],
    [20, 2, Math.fround(1.1), 12], // 1.100000023841858
    [5, 2, 1e-7, 1],
    [5, 2, 1e21, 5],
    [5, 2, 1.5e300, 5],
    [0, 4, 2, 0],
  ])('T = %d, N = %d, γ = %d: C = %d', (T, N, capacityFactor, expected) => {
    expect(capacityOf({ T, N, capacityFactor, minCapacity: 0 })).toBe(expected);
  });

  it('equals integer arithmetic for every γ with up to three decimals', () => {
    const property = fc.property(fc.nat(5000), fc.integer({ min: 1, max: 130 }), fc.integer({ min: 1, max: 9999 }), (T, N, thousandths) => {
      const remainder = (thousandths * T) % (1000 * N); // all integers below 2^53
      const expected = (thousandths * T - remainder) / (1000 * N) + (remainder > 0 ? 1 : 0);
      expect(capacityOf({ T, N, capacityFactor: thousandths / 1000, minCapacity: 0 })).toBe(Math.min(T, expected));
    });
    fc.assert(property, { numRuns: 1000 });
  });

  it('is at least minCapacity (4 by default) and at most T', () => {
    expect(capacityOf({ T: 100, N: 50, capacityFactor: 1 })).toBe(4);
    expect(capacityOf({ T: 3, N: 50, capacityFactor: 1 })).toBe(3);
    expect(capacityOf({ T: 100, N: 50, capacityFactor: 1, minCapacity: 9 })).toBe(9);
    expect(budgetOf({ T: 10, capacityFactor: 1.1 })).toBe(11);
  });

  it('refuses what is not a size or a positive factor', () => {
    for (const capacityFactor of [0, -1, Number.NaN, Infinity, '1' as unknown as number]) {
      expect(() => capacityOf({ T: 4, N: 2, capacityFactor })).toThrow(/capacityFactor is/);
    }
    expect(() => capacityOf({ T: 4, N: 0, capacityFactor: 1 })).toThrow(/N is 0, not an integer of at least 1/);
    expect(() => capacityOf({ T: 4.5, N: 1, capacityFactor: 1 })).toThrow(/T is 4.5, not an integer of at least 0/);
    expect(() => capacityOf({ T: 4, N: 1, capacityFactor: 1, minCapacity: 1.5 })).toThrow(/minCapacity is 1.5/);
  });
});

describe('plans', () => {
  const options = fc.record({
    dispatch: fc.constantFrom<DispatchPath>('padded', 'grouped', 'budget'),
    capacityFactor: fc.constantFrom(0.1, 0.5, 1, 1.1, 2, 9),
    minCapacity: fc.constantFrom(0, 1, 4),
    priority: fc.constantFrom('rank-probability' as const, 'rank' as const, undefined),
    threshold: fc.constantFrom(0, 0.5, 0.9, 1),
  });

  it('keep + drop = want, within capacity and budget, the best claims first', () => {
    const property = fc.property(problems(), options, ({ T, N, logits, mask }, { threshold, ...settings }) => {
      const routing = routeThreshold(logits, { threshold, mask });
      const plan = planDispatch(routing, settings);
      const claims = listClaims(routing);
      const pairs = [...plan.kept.map(([token, expert]) => token * N + expert), ...plan.dropped.map(([token, expert]) => token * N + expert)];
      expect(pairs.toSorted((a, b) => a - b)).toEqual(claims.map(({ token, expert }) => token * N + expert).toSorted((a, b) => a - b));
      expect(plan.kept.length).toBeLessThanOrEqual(plan.budget);
      const { keptPerExpert, wantedPerExpert, emptySlots } = planStatistics(plan);
      const byPair = new Map(claims.map((claim) => [claim.token * N + claim.expert, claim]));
      const better = comparePriority(settings.priority ?? 'rank-probability');
      for (let expert = 0; expert < N; expert++) {
        expect(keptPerExpert[expert]).toBeLessThanOrEqual(plan.capacity);
        const kept = plan.kept.filter((claim) => claim[1] === expert).toSorted((a, b) => a[2] - b[2]);
        expect(kept.map(([, , slot]) => slot)).toEqual(kept.map((_, slot) => slot));
        const order = kept.map(([token]) => byPair.get(token * N + expert)!);
        for (let slot = 1; slot < order.length; slot++) expect(better(order[slot - 1], order[slot])).toBeLessThan(0);
        const dropped = plan.dropped.filter((pair) => pair[1] === expert).map(([token]) => byPair.get(token * N + expert)!);
        if (settings.dispatch === 'padded') {
          expect(keptPerExpert[expert]).toBe(Math.min(wantedPerExpert[expert], plan.capacity));
          for (const loser of dropped) for (const winner of order) expect(better(winner, loser)).toBeLessThan(0);
        }
      }
      if (settings.dispatch === 'padded') expect(emptySlots).toBe(N * plan.capacity - plan.kept.length);
      if (settings.dispatch === 'grouped') expect(plan.dropped).toEqual([]);
      if (settings.dispatch === 'budget') {
        expect(plan.kept.length).toBe(Math.min(claims.length, budgetOf({ T, capacityFactor: settings.capacityFactor })));
        const losers = plan.dropped.map(([token, expert]) => byPair.get(token * N + expert)!);
        const winners = plan.kept.map(([token, expert]) => byPair.get(token * N + expert)!);
        for (const loser of losers) for (const winner of winners) expect(better(winner, loser)).toBeLessThan(0);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('the priority p − i is lexicographic where a float subtraction would absorb p', () => {
    // Two second choices with p that differ by 1e-12: p − 1 is the same in float32.
    const claim = (token: number, score: number): Claim => ({ token, expert: 0, rank: 1, weight: 1, score });
    expect(comparePriority('rank-probability')(claim(1, 1e-12), claim(0, 0))).toBeLessThan(0);
    expect(comparePriority('rank')(claim(1, 1e-12), claim(0, 0))).toBeGreaterThan(0);
    expect(comparePriority('rank-probability')({ ...claim(9, 0), rank: 0 }, claim(0, 1))).toBeLessThan(0);
  });

  it('rank-only priority keeps the earliest tokens, p keeps the surest', () => {
    const logits = [[1, 0], [3, 0], [2, 0]];
    const keep = (priority: 'rank' | 'rank-probability'): number[] =>
      planDispatch(routeTopK(logits, { k: 1, rankOnlyPriority: priority === 'rank' }), { capacityFactor: 1, minCapacity: 2 }).kept.map(([token]) => token);
    expect(keep('rank')).toEqual([0, 1]);
    expect(keep('rank-probability')).toEqual([1, 2]);
  });

  it('ties drop the later token', () => {
    const plan = planDispatch(routeHash([0, 0, 0], { experts: 2, map: [1] }), { capacityFactor: 1, minCapacity: 0 });
    expect(plan.kept).toEqual([[0, 1, 0, 1], [1, 1, 1, 1]]);
    expect(plan.dropped).toEqual([[2, 1]]);
    expect(planStatistics(plan)).toMatchObject({ wanted: 3, kept: 2, dropped: 1, tokensWithoutExpert: 1, emptySlots: 2 });
    expect(planStatistics(plan).dropRate).toBeCloseTo(1 / 3, 12);
  });

  it('refuses an unknown path', () => {
    expect(() => planDispatch(routeHash([0], { experts: 1, map: [0] }), { dispatch: 'paded' as DispatchPath })).toThrow(/unknown dispatch path "paded"/);
  });
});

describe('FLOPs', () => {
  it('budgeted follows γ·T, executed follows the path', () => {
    const routing = routeTopK([[2, 1, 0], [2, 1, 0], [2, 1, 0], [2, 1, 0]], { k: 2 });
    const sizes = { d: 5, s: 7, capacityFactor: 1.5 };
    const flops = (dispatch: DispatchPath): ReturnType<typeof moeFlops> => moeFlops(planDispatch(routing, { dispatch, capacityFactor: 1.5, minCapacity: 0 }), sizes);
    expect(flops('padded')).toEqual({ perClaim: 140, router: 120, budgeted: 840, executedRows: 6, executed: 840, useful: 560 });
    expect(flops('grouped')).toMatchObject({ budgeted: 840, executedRows: 8, executed: 1120, useful: 1120 });
    expect(flops('budget')).toMatchObject({ budgeted: 840, executedRows: 6, executed: 840, useful: 840 });
  });
});
