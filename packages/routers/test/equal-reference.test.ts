// Every tensor router chooses and weighs as its plain-array twin, on random problems with ties and masks.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { createEngine, type Engine } from '@xmoe/core';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { initialState, type Routing, readRouterStatistics, routerStatistics, type StateTensors } from '@xmoe/routers';
import { ROUTERS, type RouterType, routerRow } from '@xmoe/routers/by-name';
import * as plain from '@xmoe/routers/reference';
import { type Problem, problems } from './reference/arbitraries.js';
import { choicesOf, cpuEngine, plainChoices, routeOn, type Precision } from './routing-input.js';

interface Pair {
  type: RouterType;
  options: Record<string, unknown>;
  training?: boolean;
  /** Logits within ±6: beyond, sigmoids of different logits are one number, or not, by the last bit. */
  gentle?: boolean;
}

const ids = ({ T }: Problem): number[] => Array.from({ length: T }, (_, token) => (token * 7) % 5);
const thresholds = [-1, 0, 0.3, 0.5, 0.9, 0.999, 1, 2];

/** k and a target are at most N, a map at most to N − 1. Noise is drawn in routers.test.ts. */
const fitted = ({ k, map, target, maxExpertsPerToken, ...options }: Record<string, unknown>, { N }: Problem): Record<string, unknown> => ({
  ...options,
  ...(k === undefined ? {} : { k: Math.min(N, k as number) }),
  ...(maxExpertsPerToken === undefined ? {} : { maxExpertsPerToken: Math.min(N, maxExpertsPerToken as number) }),
  ...(target === undefined ? {} : { target: Math.min(N, target as number) }),
  ...(map === undefined ? {} : { map: (map as number[]).map((expert) => expert % N) }),
});

const PAIRS: Record<string, Pair> = {
  ...Object.fromEntries(thresholds.map((threshold): [string, Pair] => [`threshold ${threshold}`, { type: 'threshold', options: { threshold } }])),
  'threshold, bounded': { type: 'threshold', options: { threshold: 0.8, maxExpertsPerToken: 2 } },
  'threshold, re-normalised': { type: 'threshold', options: { threshold: 0.8, renormalize: true } },
  'threshold, equal weights': { type: 'threshold', options: { threshold: 0.8, equalWeights: true } },
  'threshold, all with equal weights': { type: 'threshold', options: { threshold: 1, equalWeights: true } },
  'threshold, equal weights, re-normalised': { type: 'threshold', options: { threshold: 0.8, equalWeights: true, renormalize: true } },
  'controlled threshold': { type: 'controlled-threshold', options: { target: 2 } },
  'controlled threshold, bounded, re-normalised, shared': {
    type: 'controlled-threshold', options: { target: 1.5, initialThreshold: 0.6, proportional: 0.3, integral: 0.2, maxExpertsPerToken: 2, renormalize: true, shared: true },
  },
  'controlled threshold by quantile': { type: 'controlled-threshold', options: { target: 2, rule: 'quantile', decay: 0.3 } },
  'controlled threshold, overruled in evaluation': { type: 'controlled-threshold', options: { target: 1, threshold: 0.9 } },
  quantile: { type: 'quantile', options: { k: 2, decay: 0.1 }, gentle: true },
  'quantile as published': { type: 'quantile', options: { k: 2, decay: 0 }, gentle: true },
  'quantile of probabilities as they are': { type: 'quantile', options: { k: 3, scores: 'softmax', renormalize: false }, gentle: true },
  'sign of what is missing': { type: 'sign-bias', options: { k: 2, rate: 0.05 }, gentle: true },
  'sign of what is missing, of probabilities as they are': { type: 'sign-bias', options: { k: 1, scores: 'softmax', renormalize: false }, gentle: true },
  'expert threshold': { type: 'expert-threshold', options: { k: 2, decay: 0.5 }, gentle: true },
  'expert threshold, the nearest cutoff otherwise': { type: 'expert-threshold', options: { k: 1, fallback: 'nearest' }, gentle: true },
  'expert threshold of probabilities as they are, bounded': { type: 'expert-threshold', options: { k: 1, scores: 'softmax', renormalize: false, maxExpertsPerToken: 2 }, gentle: true },
  'null experts': { type: 'null-experts', options: { k: 3, target: 1.5, nullExperts: 4, decay: 0.5 }, gentle: true },
  'null experts, fewer than choices, re-normalised': { type: 'null-experts', options: { k: 3, target: 2, nullExperts: 1, renormalize: true }, gentle: true },
  switch: { type: 'switch', options: {} },
  'switch, re-normalised, rank alone': { type: 'switch', options: { renormalize: true, rankOnlyPriority: true } },
  'top-k': { type: 'topk', options: { k: 2 } },
  'top-k without a key for its noise, re-normalised': { type: 'topk', options: { k: 3, renormalize: true, noise: true }, training: true },
  'top-k with noise outside of training, without a key': { type: 'topk', options: { k: 2, noise: true, noiseInEvaluation: true } },
  'top-k, equal weights': { type: 'topk', options: { k: 2, equalWeights: true } },
  'top-k, rank alone': { type: 'topk', options: { k: 2, rankOnlyPriority: true } },
  'base in evaluation': { type: 'base', options: {} },
  'base in training': { type: 'base', options: {}, training: true },
  'base in training, coarse': { type: 'base', options: { epsilon: 0.5 }, training: true },
  hash: { type: 'hash', options: { vocabularySize: 5, seed: 3, layer: 2 } },
  'hash, balanced': { type: 'hash', options: { vocabularySize: 5, seed: 3, balanced: true } },
  'hash by a map': { type: 'hash', options: { map: [3, 0, 2, 1, 4] } },
  uniform: { type: 'uniform', options: { k: 2 } },
  'uniform without a gate': { type: 'uniform', options: { k: 2, gate: false } },
};

it('every option of every router is among the pairs', () => {
  for (const type of Object.keys(ROUTERS) as RouterType[]) {
    const seen = new Set(Object.values(PAIRS).filter((pair) => pair.type === type).flatMap(({ options }) => Object.keys(options)));
    expect([...seen].sort(), type).toEqual(Object.keys(ROUTERS[type].options).sort());
  }
});

const close = (tolerance: number) => (actual: number, expected: number): void =>
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(tolerance * (1 + Math.abs(expected)));

interface Setting {
  precision: Precision;
  create: () => Engine | Promise<Engine>;
  numRuns: number;
  /** Logits closer than this, but not equal, may swap where the softmax is a unit in the last place off. */
  grid: number;
}

const SETTINGS: Record<string, Setting> = {
  'cpu in float64': { precision: 'float64', create: () => cpuEngine('float64'), numRuns: 40, grid: 2 ** -30 },
  cpu: { precision: 'float32', create: () => cpuEngine(), numRuns: 40, grid: 2 ** -10 },
  'tfjs:wasm': { precision: 'float32', create: async () => createEngine(await createTfjsBackendFor('wasm')), numRuns: 20, grid: 2 ** -10 },
};

describe.each(Object.entries(SETTINGS))('on %s', (_name, { precision, create, numRuns, grid }) => {
  let engine: Engine;
  beforeAll(async () => void (engine = await create()));
  afterAll(() => engine.dispose());
  const near = close(precision === 'float64' ? 1e-12 : 2e-6);

  it.each(Object.entries(PAIRS))('%s equals its plain twin', async (_router, { type, options, training, gentle = false }) => {
    const { create, reference, next, usesGate, gateOutputs } = routerRow('the test', 'router', type);
    const property = fc.asyncProperty(problems(), async (drawn) => {
      const problem = { ...drawn, logits: drawn.logits.map((row) => row.map((logit) => Math.round((gentle ? Math.max(-6, Math.min(6, logit)) : logit) / grid) * grid)) };
      const nullExperts = options.nullExperts === undefined ? 0 : Math.min(options.nullExperts as number, drawn.N - 1);
      fc.pre(nullExperts > 0 || options.nullExperts === undefined);
      const experts = problem.N - nullExperts;
      const own = { ...fitted(options, { ...problem, N: experts }), ...(nullExperts > 0 ? { nullExperts } : {}) };
      const router = create(own);
      expect([router.gateOutputs?.(experts), gateOutputs?.(own, experts)]).toEqual(nullExperts > 0 ? [problem.N, problem.N] : [undefined, undefined]);
      expect(usesGate?.(own) ?? true).toBe(router.usesGate);
      const group = { ...problem, tokenIds: ids(problem), capacity: 3, experts };
      if (!router.state) return expectSame(routeOn(engine, router, { ...group, training }), reference(own, { ...group, training, precision }), near);
      let state = initialState(engine, router, experts)!;
      for (const [learns, logits] of [[true, group.logits], [true, group.logits.map((row) => row.toReversed())], [false, group.logits]] as const) {
        const now = { ...group, logits }; // other tokens each time: averages show
        const routing = routeOn(engine, router, { ...now, training: learns, state });
        const expected = reference(own, { ...now, training: learns, precision, state: await plainOf(state) });
        await expectSame(routing, expected, near);
        if (!learns) {
          expect([routing.statistics, expected.statistics ?? null]).toEqual([null, null]);
          return;
        }
        const counted = await plainOf(routing.statistics!);
        expectSameCounts(counted, expected.statistics!, experts);
        const wanted = next!(own, await plainOf(state), counted);
        state = router.state.next(state, routing.statistics!);
        expectClose(await plainOf(state), wanted, near);
      }
    });
    await fc.assert(property, { numRuns });
  });
});

async function expectSame(routing: Routing, expected: plain.Routing, near: (a: number, b: number) => void): Promise<void> {
  const choices = await choicesOf(routing);
  const expectedChoices = plainChoices(expected);
  expect(choices.map((row) => row.map(([expert]) => expert))).toEqual(expectedChoices.map((row) => row.map(([expert]) => expert)));
  choices.flat().forEach(([, weight], index) => near(weight, expectedChoices.flat()[index][1]));
  const scores = await routing.scores.data();
  expected.expertIds.forEach((expert, index) => (expert < 0 ? undefined : near(scores[index], expected.scores[index])));
  expect([...(await routing.counts.data())]).toEqual([...expected.counts]);
  expect(routing.priority).toBe(expected.priority);
  near((await routing.balanceLoss?.item()) ?? 0, expected.balanceLoss);
  near((await routing.zLoss?.item()) ?? 0, expected.zLoss);
  await expectSameStatistics(routing, expected, near);
}

/** Tensors of a state, or what it moves by, as numbers. */
async function plainOf(tensors: StateTensors): Promise<plain.PlainState> {
  const read = Object.entries(tensors).map(async ([name, tensor]): Promise<[string, number[]]> => [name, Array.from(await tensor.data())]);
  return Object.fromEntries(await Promise.all(read));
}

/** Equal, but that a number on the border of two bins may be in the other; those of a token's experts are often equal. */
function expectSameCounts(actual: plain.PlainState, expected: plain.PlainState, experts: number): void {
  const { histogram = [], ...counts } = actual;
  const { histogram: wanted = [], ...others } = expected;
  expect(counts).toEqual(others);
  expect(histogram).toHaveLength(wanted.length);
  let [off, moved] = [0, 0];
  histogram.forEach((count, at) => {
    off += count - wanted[at];
    moved += Math.abs(off);
  });
  expect(off).toBe(0);
  expect(moved).toBeLessThanOrEqual(2 * experts);
}

function expectClose(actual: plain.PlainState, expected: plain.PlainState, near: (a: number, b: number) => void): void {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, numbers] of Object.entries(expected)) {
    expect(actual[name], name).toHaveLength(numbers.length);
    numbers.forEach((number, at) => near(actual[name][at], number));
  }
}

async function expectSameStatistics(routing: Routing, expected: plain.Routing, near: (a: number, b: number) => void): Promise<void> {
  const actual = await readRouterStatistics(routerStatistics(routing));
  const { entropyMean, topOneMassMean, selectedMassMean, ...counts } = plain.routerStatistics(expected);
  expect(actual).toMatchObject(counts);
  if (!routing.probabilities) return expect([actual.entropyMean, actual.topOneMassMean, actual.selectedMassMean]).toEqual([null, null, null]);
  near(actual.entropyMean!, entropyMean);
  near(actual.topOneMassMean!, topOneMassMean);
  near(actual.selectedMassMean!, selectedMassMean);
}
