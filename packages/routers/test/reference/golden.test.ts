// The reference routers against the published gating functions, before capacity (with it: packages/moe/test/reference).
import { describe, expect, it } from 'vitest';
import {
  type Routing,
  assignmentScore,
  auctionAssign,
  optimalAssign,
  routeBase,
  routeHash,
  routeSwitch,
  routeThreshold,
  routeTopK,
  routerStatistics,
} from '@xmoe/routers/reference';
import { goldenBase, goldenHash, goldenThreshold, goldenTopK } from '../../../testing/src/golden/index.js';

const pairsOf = (routing: Routing): number[][] =>
  Array.from(routing.counts).flatMap((count, token) => {
    const row = routing.expertIds.subarray(token * routing.maxChoices, token * routing.maxChoices + count);
    return Array.from(row).toSorted((a, b) => a - b).map((expert) => [token, expert]);
  });

describe.each(goldenThreshold)('threshold golden T=$T N=$N', ({ logits, cases, T }) => {
  it.each(cases)('t=$threshold γ=$gamma wants the same experts', (golden) => {
    const routing = routeThreshold(logits, { threshold: golden.threshold });
    expect(pairsOf(routing)).toEqual(golden.wanted_pairs);
    expect([...routing.counts]).toEqual(golden.wanted_per_token);
    expect(routing.balanceLoss).toBeCloseTo(golden.l_aux, 6);
    const statistics = routerStatistics(routing);
    expect(statistics.expertsPerToken).toBeCloseTo(golden.want_num, 6);
    expect(statistics.topOneMassMean).toBeCloseTo(golden.top1_p_mean, 6);
    const percent = [...statistics.wantedPerExpert].map((load) => (100 * load) / T);
    expect(percent).toEqual(golden.receive_percent);
  });
});

describe.each(goldenTopK)('top-k golden T=$T N=$N', ({ logits, cases, N }) => {
  it.each(cases)('k=$k γ=$gamma receives the same by expert and rank', (golden) => {
    const routing = routeTopK(logits, { k: golden.k });
    const received = Array.from({ length: N }, () => new Array<number>(golden.k).fill(0));
    routing.expertIds.forEach((expert, index) => received[expert][index % golden.k]++);
    expect(received).toEqual(golden.received_by_expert_and_rank);
    expect(routing.balanceLoss).toBeCloseTo(golden.l_aux, 6);
    if (golden.k === 1) expect(routeSwitch(logits)).toEqual(routing);
  });
});

describe.each(goldenBase)('BASE golden T=$T N=$N', ({ logits, T, N, train, eval: evaluations }) => {
  it('training is balanced and within T·epsilon of the optimum', () => {
    const routing = routeBase(logits, { training: true });
    expect([...routerStatistics(routing).wantedPerExpert]).toEqual(new Array(N).fill(T / N));
    const score = assignmentScore(logits.flat(), N, routing.expertIds);
    expect(score).toBeLessThanOrEqual(train.optimal_score + 1e-9);
    expect(score).toBeGreaterThanOrEqual(train.optimal_score - T * train.epsilon);
    routing.weights.forEach((weight, token) => {
      expect(weight).toBeCloseTo(1 / (1 + Math.exp(-logits[token][routing.expertIds[token]])), 6);
    });
  });

  it('the exact solver finds the optimum, and a fine auction too', () => {
    expect(assignmentScore(logits.flat(), N, optimalAssign(logits.flat(), T, N))).toBeCloseTo(train.optimal_score, 9);
    // Scores are multiples of 1/64: within T·epsilon < 1/64 of the optimum is the optimum.
    const fine = auctionAssign(logits.flat(), T, N, { epsilon: 1 / 65 / T });
    expect(assignmentScore(logits.flat(), N, fine)).toBe(train.optimal_score);
  });

  it('gives the published weights to the published assignment', () => {
    for (const [token, expert, weight] of train.token_expert_weight) {
      const routing = routeBase([[logits[token][expert]]]);
      expect(routing.weights[0]).toBeCloseTo(weight, 6);
    }
  });

  it.each(evaluations)('evaluation γ=$gamma receives the same', ({ received }) => {
    expect([...routerStatistics(routeBase(logits)).wantedPerExpert]).toEqual(received);
  });
});

describe('hash golden', () => {
  it.each(goldenHash)('T=$T N=$N γ=$gamma receives the same', (golden) => {
    const routing = routeHash(golden.token_ids, { experts: golden.N, map: golden.map });
    expect([...routerStatistics(routing).wantedPerExpert]).toEqual(golden.received);
    expect(new Set(routing.weights)).toEqual(new Set([1]));
    expect([routing.balanceLoss, routing.zLoss]).toEqual([0, 0]);
  });
});
