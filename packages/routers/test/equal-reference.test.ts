// Every tensor router chooses and weighs as its plain-array twin, on random problems with ties and masks.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { createEngine, type Engine } from '@xmoe/core';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { type Router, createBaseRouter, createHashRouter, createSwitchRouter, createThresholdRouter, createTopKRouter, createUniformRouter, readRouterStatistics, routerStatistics } from '@xmoe/routers';
import * as plain from '@xmoe/routers/reference';
import { type Problem, problems } from './reference/arbitraries.js';
import { choicesOf, cpuEngine, plainChoices, routeOn, type Precision } from './routing-input.js';

type Twin = (problem: Problem, precision: Precision) => plain.Routing;
interface Pair {
  router: (problem: Problem) => Router;
  twin: Twin;
  training?: boolean;
}

const ids = ({ T }: Problem): number[] => Array.from({ length: T }, (_, token) => (token * 7) % 5);
const kOf = ({ N }: Problem): number => Math.min(N, 2);
const thresholds = [-1, 0, 0.3, 0.5, 0.9, 0.999, 1, 2];

const PAIRS: Record<string, Pair> = {
  ...Object.fromEntries(
    thresholds.map((threshold): [string, Pair] => [
      `threshold ${threshold}`,
      { router: () => createThresholdRouter({ threshold }), twin: ({ logits, mask }, precision) => plain.routeThreshold(logits, { threshold, mask, precision }) },
    ]),
  ),
  switch: { router: () => createSwitchRouter(), twin: ({ logits, mask }, precision) => plain.routeSwitch(logits, { mask, precision }) },
  'top-k': { router: (problem) => createTopKRouter({ k: kOf(problem) }), twin: (problem, precision) => plain.routeTopK(problem.logits, { k: kOf(problem), mask: problem.mask, precision }) },
  'base in evaluation': { router: () => createBaseRouter(), twin: ({ logits, mask }, precision) => plain.routeBase(logits, { mask, precision }) },
  'base in training': {
    router: () => createBaseRouter(),
    training: true,
    twin: ({ logits, mask }, precision) => plain.routeBase(logits, { training: true, mask, precision }),
  },
  hash: {
    router: () => createHashRouter({ vocabularySize: 5, seed: 3, layer: 2 }),
    twin: (problem) => plain.routeHash(ids(problem), { experts: problem.N, mask: problem.mask, map: plain.createHashMap({ vocabulary: 5, experts: problem.N, seed: 3, layer: 2 }) }),
  },
  uniform: { router: (problem) => createUniformRouter({ k: kOf(problem) }), twin: (problem, precision) => plain.routeUniform(problem.logits, { k: kOf(problem), mask: problem.mask, precision }) },
};

const close = (tolerance: number) => (actual: number, expected: number): void =>
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(tolerance * (1 + Math.abs(expected)));

interface Setting {
  precision: Precision;
  create: () => Engine | Promise<Engine>;
  numRuns: number;
  /** Logits closer than this, but not equal, may swap where the softmax is a unit in the last place off. */
  grid?: number;
}

const SETTINGS: Record<string, Setting> = {
  'cpu in float64': { precision: 'float64', create: () => cpuEngine('float64'), numRuns: 40 },
  cpu: { precision: 'float32', create: () => cpuEngine(), numRuns: 40 },
  'tfjs:wasm': { precision: 'float32', create: async () => createEngine(await createTfjsBackendFor('wasm')), numRuns: 20, grid: 2 ** -10 },
};

describe.each(Object.entries(SETTINGS))('on %s', (_name, { precision, create, numRuns, grid }) => {
  let engine: Engine;
  beforeAll(async () => void (engine = await create()));
  afterAll(() => engine.dispose());
  const near = close(precision === 'float64' ? 1e-12 : 2e-6);

  it.each(Object.entries(PAIRS))('%s equals its plain twin', async (_router, { router, twin, training }) => {
    const property = fc.asyncProperty(problems(), async (drawn) => {
      const problem = grid === undefined ? drawn : { ...drawn, logits: drawn.logits.map((row) => row.map((logit) => Math.round(logit / grid) * grid)) };
      const expected = twin(problem, precision);
      const routing = routeOn(engine, router(problem), { ...problem, tokenIds: ids(problem), training });
      const choices = await choicesOf(routing);
      const expectedChoices = plainChoices(expected);
      expect(choices.map((row) => row.map(([expert]) => expert))).toEqual(expectedChoices.map((row) => row.map(([expert]) => expert)));
      choices.flat().forEach(([, weight], index) => near(weight, expectedChoices.flat()[index][1]));
      expect([...(await routing.counts.data())]).toEqual([...expected.counts]);
      near((await routing.balanceLoss?.item()) ?? 0, expected.auxLoss);
      near((await routing.zLoss?.item()) ?? 0, expected.zLoss);
      await expectSameStatistics(routing, expected, near);
    });
    await fc.assert(property, { numRuns });
  });
});

async function expectSameStatistics(routing: Parameters<typeof routerStatistics>[0], expected: plain.Routing, near: (a: number, b: number) => void): Promise<void> {
  const actual = await readRouterStatistics(routerStatistics(routing));
  const { entropyMean, topOneMassMean, selectedMassMean, ...counts } = plain.routerStatistics(expected);
  expect(actual).toMatchObject(counts);
  if (!routing.probabilities) return expect([actual.entropyMean, actual.topOneMassMean, actual.selectedMassMean]).toEqual([null, null, null]);
  near(actual.entropyMean!, entropyMean);
  near(actual.topOneMassMean!, topOneMassMean);
  near(actual.selectedMassMean!, selectedMassMean);
}
