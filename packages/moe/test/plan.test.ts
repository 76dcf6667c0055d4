// Tensor dispatch plans against the plain-array plans, on random routings with ties and masks, and their own invariants.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { cast, combineExperts, createEngine, gatherRows, type Backend, type Engine } from '@xmoe/core';
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { claimTotals, planDispatch, type DispatchPath, type DispatchPlan } from '@xmoe/moe';
import { planDispatch as plainPlan } from '@xmoe/moe/reference';
import { type Routing, createHashRouter, createThresholdRouter, createTopKRouter, createUniformRouter } from '@xmoe/routers';
import type { Routing as PlainRouting } from '@xmoe/routers/reference';
import { problems } from '../../routers/test/reference/arbitraries.js';
import { routeOn } from '../../routers/test/routing-input.js';

/** The device's routing as the plain twin's, so that only the plans can differ. */
async function toPlain(routing: Routing): Promise<PlainRouting> {
  const { tokens, experts, maxChoices, priority } = routing;
  return {
    tokens,
    experts,
    maxChoices,
    expertIds: Int32Array.from(await routing.expertIds.data()),
    weights: Float64Array.from(await routing.weights.data()),
    scores: Float64Array.from(await routing.scores.data()),
    counts: Int32Array.from(await routing.counts.data()),
    mask: routing.mask ? Uint8Array.from(await routing.mask.data()) : new Uint8Array(tokens).fill(1),
    probabilities: new Float64Array(tokens * experts),
    balanceLoss: 0,
    zLoss: 0,
    weightSource: 'softmax',
    priority,
  };
}

interface HostPlan {
  rowClaim: number[];
  rowToken: number[];
  claimRow: number[];
  offsets: number[];
  wantedPerExpert: number[];
  keptPerExpert: number[];
}

async function toHost(plan: DispatchPlan): Promise<HostPlan> {
  const read = async (name: keyof HostPlan): Promise<number[]> => Array.from(await plan[name]!.data());
  const [rowClaim, rowToken, claimRow] = [await read('rowClaim'), await read('rowToken'), await read('claimRow')];
  return { rowClaim, rowToken, claimRow, offsets: await read('offsets'), wantedPerExpert: await read('wantedPerExpert'), keptPerExpert: await read('keptPerExpert') };
}

const scenario = fc.record({
  router: fc.constantFrom('threshold 0.5', 'threshold 0.9', 'threshold 1', 'top-1', 'top-2', 'top-2 rank', 'hash', 'uniform'),
  dispatch: fc.constantFrom<DispatchPath>('padded', 'grouped', 'budget'),
  capacityFactor: fc.constantFrom(0.1, 0.5, 1, 1.1, 2, 9),
  minCapacity: fc.constantFrom(0, 1, 4),
  useMask: fc.boolean(),
  priority: fc.constantFrom(undefined, 'probability' as const),
  pools: fc.constantFrom(1, 2, 3),
});

function routerOf(name: string, N: number): ReturnType<typeof createTopKRouter> {
  const k = Math.min(2, N);
  if (name.startsWith('threshold')) return createThresholdRouter({ threshold: Number(name.split(' ')[1]) });
  if (name === 'hash') return createHashRouter({ vocabularySize: 5 });
  if (name === 'uniform') return createUniformRouter({ k, gate: false });
  return createTopKRouter({ k: name === 'top-1' ? 1 : k, rankOnlyPriority: name === 'top-2 rank' });
}

const BACKENDS: Record<string, () => Backend | Promise<Backend>> = {
  cpu: () => createCpuBackend(),
  'cpu without readSync': () => ({ ...createCpuBackend(), readSync: undefined }),
  'tfjs:wasm': () => createTfjsBackendFor('wasm'),
  'cpu:wasm': () => createWasmBackend({ threads: 2 }),
};

describe.each(Object.entries(BACKENDS))('plans on %s', (_name, create) => {
  let engine: Engine;
  beforeAll(async () => void (engine = createEngine(await create())));
  afterAll(() => engine.dispose());

  it('F21: keep, drop and place the same claims as the plain plans', async () => {
    const property = fc.asyncProperty(problems({ T: 40 }), scenario, async ({ T, N, logits, mask }, { router, useMask, pools, ...rest }) => {
      const options = { ...rest, poolTokens: T % pools === 0 ? T / pools : T };
      const tokenIds = logits.map((_, token) => (token * 3) % 6); // 5 is outside of the map
      const routing = routeOn(engine, routerOf(router, N), { logits, tokenIds, mask: useMask ? mask : undefined });
      const plain = await toPlain(routing);
      const { dispatch } = options;
      const expected = plainPlan(plain, options);
      const plan = planDispatch(routing, options);
      const host = await toHost(plan);
      expect(keptOf(plan, host, plain)).toEqual(expected.kept.map(([token, expert, slot]) => (dispatch === 'grouped' ? [token, expert] : [token, expert, slot])));
      expect(plan.capacity).toBe(expected.capacity);
      const { wanted, kept } = claimTotals(plan);
      expect([await wanted.item(), await kept.item()]).toEqual([expected.wanted, expected.kept.length]);
      expectConsistent(plan, host, plain, engine);
      expect(plan.rows).toBeLessThanOrEqual(dispatch === 'padded' ? expected.budget : T * routing.maxChoices);
    });
    await fc.assert(property, { numRuns: 150 });
  });

  it('combining what was dispatched gives each token its kept weights times itself', async () => {
    const property = fc.asyncProperty(problems(), scenario, async ({ T, N, logits, mask }, { router, useMask, pools, ...rest }) => {
      const options = { ...rest, poolTokens: T % pools === 0 ? T / pools : T };
      const tokenIds = logits.map((_, token) => token % 5);
      const routing = routeOn(engine, routerOf(router, N), { logits, tokenIds, mask: useMask ? mask : undefined });
      const plan = planDispatch(routing, options);
      const { claimRow } = await toHost(plan);
      const x = cast(engine.iota(T * 2, { start: 1 }), 'float32');
      const rows = gatherRows(engine.alias(x, [T, 2]), plan.rowToken); // [R, 2]
      const out = await combineExperts(rows, engine.ones([T, routing.maxChoices]), plan.claimRow, plan.rowClaim).data();
      const K = routing.maxChoices;
      for (let token = 0; token < T; token++) {
        const kept = claimRow.slice(token * K, token * K + K).filter((row) => row >= 0).length;
        expect([out[2 * token], out[2 * token + 1]]).toEqual([kept * (2 * token + 1), kept * (2 * token + 2)]);
      }
    });
    await fc.assert(property, { numRuns: 60 });
  });
});

/** [token, expert, slot] (no slot on the grouped path, whose rows go by token) by token, then expert. */
function keptOf({ dispatch, capacity }: DispatchPlan, { rowClaim, offsets, rowToken }: HostPlan, { expertIds }: PlainRouting): number[][] {
  const kept = rowClaim.flatMap((claim, row) => {
    if (claim < 0) return [];
    const expert = expertIds[claim];
    const slot = dispatch === 'padded' ? row - expert * capacity : row - offsets[expert];
    return [dispatch === 'grouped' ? [rowToken[row], expert] : [rowToken[row], expert, slot]];
  });
  return kept.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
}

function expectConsistent(plan: DispatchPlan, host: HostPlan, { expertIds, maxChoices: K, tokens }: PlainRouting, engine: Engine): void {
  const { rowClaim, rowToken, claimRow, offsets, keptPerExpert } = host;
  expect([rowClaim.length, rowToken.length, claimRow.length, offsets.length]).toEqual([plan.rows, plan.rows, tokens * K, plan.experts + 1]);
  rowClaim.forEach((claim, row) => {
    expect(rowToken[row]).toBe(claim < 0 ? -1 : Math.floor(claim / K));
    if (claim < 0) return;
    expect(claimRow[claim]).toBe(row);
    const expert = expertIds[claim];
    expect(row >= offsets[expert] && row < offsets[expert + 1]).toBe(true);
  });
  claimRow.forEach((row, claim) => row >= 0 && expect(rowClaim[row]).toBe(claim));
  const used = rowClaim.filter((claim) => claim >= 0);
  expect(keptPerExpert.reduce((sum, claims) => sum + claims, 0)).toBe(used.length);
  keptPerExpert.forEach((claims, expert) => expect(used.filter((claim) => expertIds[claim] === expert).length).toBe(claims));
  if (plan.dispatch === 'padded') return expect(offsets).toEqual(Array.from({ length: plan.experts + 1 }, (_, expert) => expert * plan.capacity));
  // Used rows come first, by expert; the grouped path leaves less than a row multiple empty where it may read.
  expect(rowClaim.slice(0, used.length).every((claim) => claim >= 0)).toBe(true);
  expect(offsets[plan.experts]).toBe(used.length);
  if (plan.dispatch === 'grouped' && engine.backend.readSync) expect(plan.rows).toBeLessThan(used.length + 33);
}

describe('a budget', () => {
  const engine = createEngine(createCpuBackend());
  // Three sure tokens and three that are not; t = 1 makes every token want all experts.
  const logits = [[9, 0, 0, 0], [9, 0, 0, 0], [9, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]];
  const keptBy = async (options: Partial<Parameters<typeof planDispatch>[1]>): Promise<number[]> => {
    const plan = planDispatch(routeOn(engine, createThresholdRouter({ threshold: 1 }), { logits }), { dispatch: 'budget', capacityFactor: 2, ...options });
    const { claimRow } = await toHost(plan);
    return logits.map((_, token) => claimRow.slice(4 * token, 4 * token + 4).filter((row) => row >= 0).length);
  };

  it('gives each token γ experts by rank, while all want more; by probability unsure tokens get more', async () => {
    expect(await keptBy({})).toEqual([2, 2, 2, 2, 2, 2]);
    expect(await keptBy({ priority: 'probability' })).toEqual([1, 1, 1, 4, 4, 1]);
    expect(await keptBy({ priority: 'share' })).toEqual([1, 1, 1, 4, 4, 1]);
  });

  it('of a sequence alone is not touched by other sequences', async () => {
    expect(await keptBy({ priority: 'probability', poolTokens: 2 })).toEqual([3, 1, 1, 3, 4, 0]); // each pair has four
    expect(await keptBy({ poolTokens: 3, capacityFactor: 1 })).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it('by share: a claim competes with its share of what its token chose', async () => {
    // Probabilities 0.47, 0.47 and 0.4, 0.2, 0.2, 0.2 of which the router takes two: shares 0.5, 0.5 and 0.67, 0.33.
    const own = [[3, 3, 0, 0], [1, 0.3, 0.3, 0.3]];
    const kept = async (priority: 'probability' | 'share'): Promise<number[]> => {
      const plan = planDispatch(routeOn(engine, createTopKRouter({ k: 2 }), { logits: own }), { dispatch: 'budget', capacityFactor: 0.5, priority });
      return (await toHost(plan)).rowToken;
    };
    expect([await kept('probability'), await kept('share')]).toEqual([[0], [1]]);
  });

  it('refuses pools that the tokens do not fill', async () => {
    await expect(keptBy({ poolTokens: 4 })).rejects.toMatchObject({ code: 'value', message: expect.stringContaining('6 tokens are not whole pools of 4') });
  });
});

describe('plans refuse', () => {
  const engine = createEngine(createCpuBackend());
  const routing = routeOn(engine, createTopKRouter({ k: 1 }), { logits: [[1, 2], [2, 1]] });

  it('an unknown path and a bad capacity factor', () => {
    expect(() => planDispatch(routing, { dispatch: 'buget' as DispatchPath })).toThrow(expect.objectContaining({ hint: 'did you mean "budget"?' }));
    expect(() => planDispatch(routing, { dispatch: 'padded', capacityFactor: 0 })).toThrow(/capacityFactor is 0, not above 0/);
  });
});
