// A real token that no expert takes is no padding: statistics, plans and traces go by the mask, on plain arrays and on tensors alike.
import { createEngine } from '@xmoe/core';
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { planDispatch, summarizeTrace } from '@xmoe/moe';
import * as reference from '@xmoe/moe/reference';
import { readRouterStatistics, routerStatistics } from '@xmoe/routers';
import { routerStatistics as plainStatistics } from '@xmoe/routers/reference';
import { describe, expect, it } from 'vitest';
import { traceRouting } from '../src/trace.js';
import { createExpertChoiceRouter, routeExpertChoice } from './expert-choice.js';

const [T, N] = [5, 3];
/** Experts 0 and 1 are surest of token 4, expert 2 of token 0; tokens 1 and 2 are real and nobody's, token 3 is padding. */
const LOGITS = [[-9, -9, 0], [0, 0, 0], [0, 0, 1], [9, 9, 9], [3, 3, -9]];
const mask = [true, true, true, false, true];
const CAPACITY = 1;

const plain = routeExpertChoice({ values: LOGITS.flat(), tokens: T, experts: N }, { mask, capacity: CAPACITY });
/** What both forms must say. */
const FIGURES = { tokens: 4, claims: 3, expertsPerToken: 0.75, expertsPerTokenHistogram: Int32Array.of(2, 1, 1, 0), wantedPerExpert: Int32Array.of(1, 1, 1), loadImbalance: 1 };

describe('on plain arrays', () => {
  it('the mask says what is padding', () => {
    expect([...plain.counts]).toEqual([1, 0, 0, 0, 2]);
    expect([...plain.mask]).toEqual([1, 1, 1, 0, 1]);
    expect(plainStatistics(plain)).toMatchObject(FIGURES);
  });

  it('a plan counts the real tokens that keep nothing, whether they wanted or not', () => {
    const without = (dispatch: 'padded' | 'grouped' | 'budget', capacityFactor = 1): number =>
      reference.planStatistics(reference.planDispatch(plain, { dispatch, capacityFactor, minCapacity: 1 })).tokensWithoutExpert;
    expect(without('grouped')).toBe(2);
    expect(without('padded')).toBe(2);
    expect(without('budget', 0.2)).toBe(3); // one claim: that of token 0
  });
});

describe.each([['cpu', () => createCpuBackend()], ['cpu:wasm', () => createWasmBackend({ threads: 1 })]] as const)('on tensors, %s', (_name, create) => {
  it.each([[mask], [null]])('says the same, mask %j', async (given) => {
    const engine = createEngine(await create());
    try {
      const routing = createExpertChoiceRouter(CAPACITY).route({
        engine, tokens: T, experts: N, logits: engine.tensor(LOGITS.flat(), [T, N]), mask: given && engine.tensor(given, [T], 'bool'),
      });
      const expected = given ? plain : routeExpertChoice({ values: LOGITS.flat(), tokens: T, experts: N }, { capacity: CAPACITY });
      const { entropyMean, topOneMassMean, selectedMassMean, ...figures } = plainStatistics(expected);
      const actual = await readRouterStatistics(routerStatistics(routing));
      expect(actual).toMatchObject(figures);
      expect(actual.entropyMean).toBeCloseTo(entropyMean, 6);
      expect(actual.topOneMassMean).toBeCloseTo(topOneMassMean, 6);
      expect(actual.selectedMassMean).toBeCloseTo(selectedMassMean, 6);

      const plan = planDispatch(routing, { dispatch: 'grouped' });
      const trace = traceRouting({ routing, plan, hidden: 1, positive: null, perToken: false });
      const { tokens, expertsPerToken, wanted } = await summarizeTrace(trace);
      expect({ tokens, expertsPerToken, wanted }).toEqual({ tokens: figures.tokens, expertsPerToken: figures.claims / figures.tokens, wanted: figures.claims });
    } finally {
      engine.dispose();
    }
  });

  it('a routing keeps a mask of its own', async () => {
    const engine = createEngine(await create());
    try {
      const own = engine.tensor(mask, [T], 'bool');
      const routing = createExpertChoiceRouter(CAPACITY).route({ engine, tokens: T, experts: N, logits: engine.tensor(LOGITS.flat(), [T, N]), mask: own });
      routing.mask!.dispose();
      expect([...(await own.data())]).toEqual([1, 1, 1, 0, 1]);
    } finally {
      engine.dispose();
    }
  });
});
