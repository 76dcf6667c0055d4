// The tensor layer's output and every gradient against the triple loop, for each dispatch path, router, activation and mask.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEngine, type Backend, type Engine } from '@xmoe/core';
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { summarizeTrace, type DispatchPath, type ExpertActivation } from '@xmoe/moe';
import type { RouterConfig } from '@xmoe/routers/by-name';
import { planStatistics } from '@xmoe/moe/reference';
import { withoutFused } from '@xmoe/testing';
import { type LayerCase, NAMES, T, d, exactLeavesOn, expectedOf, leavesOn, mask, runLayer } from './layer-case.js';

const ROUTERS: RouterConfig[] = [
  { type: 'threshold', threshold: 0.7 },
  { type: 'threshold', threshold: 1 },
  { type: 'threshold', threshold: 0.7, maxExpertsPerToken: 2, renormalize: true },
  { type: 'threshold', threshold: 0.7, equalWeights: true },
  { type: 'controlled-threshold', target: 2, initialThreshold: 0.7, renormalize: true },
  { type: 'topk', k: 2, renormalize: true },
  { type: 'topk', k: 3, rankOnlyPriority: true },
  { type: 'quantile', k: 2 },
  { type: 'quantile', k: 2, scores: 'softmax', renormalize: false },
  { type: 'sign-bias', k: 2, renormalize: false },
  { type: 'expert-threshold', k: 2 },
  { type: 'null-experts', k: 3, target: 1.5, nullExperts: 3 },
  { type: 'null-experts', k: 4, target: 2.5, nullExperts: 3, renormalize: true },
  { type: 'switch' },
  { type: 'hash', seed: 4 },
  { type: 'base' },
  { type: 'uniform', k: 2 },
];
const PATHS: DispatchPath[] = ['padded', 'grouped', 'budget'];

const CASES: LayerCase[] = ROUTERS.flatMap((router) =>
  PATHS.flatMap((dispatch) => [false, true].map((masked) => ({ router, dispatch, masked, activation: 'gelu-tanh' as ExpertActivation }))),
);
for (const activation of ['gelu-erf', 'relu'] as const) {
  for (const dispatch of PATHS) CASES.push({ router: ROUTERS[0], dispatch, masked: true, activation });
}
const titled = CASES.map((item) => [`${JSON.stringify(item.router)} ${item.dispatch} ${item.activation}${item.masked ? ' masked' : ''}`, item] as const);

interface Setting {
  create: () => Backend | Promise<Backend>;
  tolerance: number;
  leaves?: typeof leavesOn;
  /** Without it BASE cannot train. */
  blind?: boolean;
}

const SETTINGS: Record<string, Setting> = {
  'cpu in float64': { create: () => createCpuBackend({ accumulate: 'float64' }), leaves: exactLeavesOn, tolerance: 1e-9 },
  'fallbacks in float64': { create: () => withoutFused(createCpuBackend({ accumulate: 'float64' })), leaves: exactLeavesOn, tolerance: 1e-9 },
  'native forward, fallback backward in float64': {
    create: () => withoutFused(createCpuBackend({ accumulate: 'float64' }), (name) => name.endsWith('Grad')), leaves: exactLeavesOn, tolerance: 1e-9,
  },
  cpu: { create: () => createCpuBackend(), tolerance: 1e-4 },
  'cpu:wasm': { create: () => createWasmBackend({ threads: 2 }), tolerance: 1e-4 },
  'cpu without readSync': { create: () => ({ ...createCpuBackend(), readSync: undefined }), tolerance: 1e-4, blind: true },
  'tfjs:wasm': { create: () => createTfjsBackendFor('wasm'), tolerance: 1e-4 },
  'tfjs:cpu': { create: () => createTfjsBackendFor('cpu'), tolerance: 1e-4 },
};

function expectClose(name: string, actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length, name).toBe(expected.length);
  for (let index = 0; index < actual.length; index++) {
    const error = Math.abs(actual[index] - expected[index]) / (1 + Math.abs(expected[index]));
    if (!(error <= tolerance)) expect.fail(`${name}[${index}] is ${actual[index]}, expected ${expected[index]}`);
  }
}

describe.each(Object.entries(SETTINGS))('the layer equals the triple loop on %s', (_name, { create, tolerance, blind, leaves = leavesOn }) => {
  let engine: Engine;
  beforeAll(async () => void (engine = createEngine(await create())));
  afterAll(() => engine.dispose());

  it.each(titled.filter(([, item]) => !blind || item.router.type !== 'base'))('%s', async (_title, item) => {
    const { forward, gradients: expected } = expectedOf(item);
    const { output, trace, gradients } = runLayer(engine, item, leaves(engine, item));
    expectClose('output', await output.data(), forward.y, tolerance);
    for (const name of NAMES) expectClose(`gradient of ${name}`, await gradients[name].data(), expected[name], tolerance);
    const summary = await summarizeTrace(trace);
    // By number of experts: all real tokens, and all that they wanted.
    const spread = (of: (count: number) => number): number => summary.tokensByCount.reduce((total, tokens, count) => total + tokens * of(count), 0);
    expect([spread(() => 1), spread((count) => count)]).toEqual([summary.tokens, summary.wanted]);
    const statistics = planStatistics(forward.plan);
    const { wanted, kept, dropped, dropRate } = statistics;
    expect(summary).toMatchObject({ wanted, kept, dropped, dropRate, tokens: item.masked ? mask.filter(Boolean).length : T });
    expect([...(await trace.keptPerExpert.data())]).toEqual([...statistics.keptPerExpert]);
    expect([...(await trace.wantedPerExpert.data())]).toEqual([...statistics.wantedPerExpert]);
    expect(summary.positiveShare).toBeCloseTo(forward.positiveShare, 12);
    expectClose('balance loss', [summary.balanceLoss ?? 0], [forward.routing.balanceLoss], tolerance);
    expectClose('z-loss', [summary.zLoss ?? 0], [forward.routing.zLoss], tolerance);
    if (!item.masked) return;
    const [y, dx] = [await output.data(), await gradients.x.data()];
    mask.forEach((real, token) => {
      if (!real) expect([...y.slice(token * d, token * d + d), ...dx.slice(token * d, token * d + d)]).toEqual(new Array(2 * d).fill(0));
    });
  });
});
