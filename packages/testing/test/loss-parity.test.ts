// Training end to end: the same seed gives the same losses on every backend that runs here, two runs on one backend are
// equal to the bit, and every router trains on every dispatch path.
import { describe, expect, it } from 'vitest';
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import type { RouterConfig } from '@xmoe/routers/by-name';
import { expectNear, train, type Experts } from './tiny-training.js';

const threshold: RouterConfig = { type: 'threshold', threshold: 0.8 };
const STEPS = 20;

describe('the first 20 losses of one seed', async () => {
  const cpu = (): Promise<number[][]> => train(createCpuBackend(), STEPS, { router: threshold, dispatch: 'padded' });
  const expected = await cpu();

  it('fall, and have an auxiliary part', () => {
    expect(expected[STEPS - 1]![0]!).toBeLessThan(0.8 * expected[0]![0]!);
    for (const [, auxLoss] of expected) expect(auxLoss).toBeGreaterThan(0);
  });

  it('F23: cpu: a second run is equal to the bit', async () => {
    expect(await cpu()).toEqual(expected);
  });

  it('cpu:wasm: as on cpu within 1e-3', async () => {
    const losses = await train(await createWasmBackend(), STEPS, { router: threshold, dispatch: 'padded' });
    expectNear(losses, expected);
  });

  it.each(['wasm', 'cpu'] as const)('F23: tfjs:%s: as on cpu within 1e-3, and a second run is equal to the bit', async (build) => {
    const run = async (): Promise<number[][]> => train(await createTfjsBackendFor(build), STEPS, { router: threshold, dispatch: 'padded' });
    const losses = await run();
    expectNear(losses, expected);
    expect(await run()).toEqual(losses);
  });

  it('on grouped dispatch, tfjs:wasm is as cpu', async () => {
    const experts: Experts = { router: threshold, dispatch: 'grouped' };
    const [one, other] = [await train(createCpuBackend(), 5, experts), await train(await createTfjsBackendFor('wasm'), 5, experts)];
    expectNear(other, one);
  });
});

describe('every router on every dispatch path', () => {
  const routers: RouterConfig[] = [threshold, { type: 'controlled-threshold', target: 2 }, { type: 'quantile', k: 2 }, { type: 'expert-threshold', k: 2 }, { type: 'null-experts', k: 4, target: 2 }, { type: 'topk', k: 2 }, { type: 'switch' }, { type: 'hash' }, { type: 'base' }];
  const cases = routers.flatMap((router) => (['padded', 'grouped', 'budget'] as const).map((dispatch) => ({ router, dispatch })));

  it.each([...cases, null])('%o trains', async (experts) => {
    const losses = await train(createCpuBackend(), 12, experts);
    expect(losses.flat().every(Number.isFinite)).toBe(true);
    expect(losses[11]![0]!).toBeLessThan(losses[0]![0]!);
    expect(losses.every(([, , norm]) => norm! > 0)).toBe(true);
  });
});
