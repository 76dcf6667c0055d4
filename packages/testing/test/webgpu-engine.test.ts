// WebGPU where it matters: golden data, gradients of every op and of the layer, training, replayed steps, half precision and
// memory. Needs an adapter, software will do; without one the file says so and these tests do not run.
import { describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createWebGpuBackend } from '@xmoe/backend-webgpu';
import { createEngine, type Backend } from '@xmoe/core';
import type { DispatchPath } from '@xmoe/moe';
import type { RouterConfig } from '@xmoe/routers/by-name';
import { webGpuAdapter } from '../../backend-webgpu/test/adapter.js';
import { describeDerivatives } from './derivative-suite.js';
import { describeExtremes } from './extremes-suite.js';
import { describeGolden } from './golden-suite.js';
import { batchAt, createTinyTrainer, expectNear, train, type Experts } from './tiny-training.js';

const adapter = await webGpuAdapter();
const router: RouterConfig = { type: 'threshold', threshold: 0.8 };

/** The same device without recordings. */
async function withoutReplay(): Promise<Backend> {
  return { ...(await createWebGpuBackend()), record: undefined };
}

if (adapter.available) {
  describeGolden('webgpu', () => createWebGpuBackend());
  describeDerivatives('webgpu', () => createWebGpuBackend());
  describeExtremes('webgpu', () => createWebGpuBackend());
}

describe.runIf(adapter.available)('training on webgpu', () => {
  // A backend without synchronous reads has the static shapes of the grouped path that webgpu has.
  const onCpu = (experts: Experts): Promise<number[][]> => train({ ...createCpuBackend(), readSync: undefined }, 20, experts);

  it.each(['padded', 'grouped', 'budget'] as const)('%s: losses as on cpu within 1e-3, the same to the bit in a second run and without replay', async (dispatch: DispatchPath) => {
    const experts: Experts = { router, dispatch };
    const losses = await train(await createWebGpuBackend(), 20, experts);
    expectNear(losses, await onCpu(experts));
    expect(await train(await createWebGpuBackend(), 20, experts)).toEqual(losses);
    expect(await train(await withoutReplay(), 20, experts)).toEqual(losses);
  });

  it.each([{ type: 'topk', k: 2 }, { type: 'switch' }, { type: 'hash' }] as RouterConfig[])('%o trains', async (other) => {
    const experts: Experts = { router: other, dispatch: 'padded' };
    expectNear(await train(await createWebGpuBackend(), 5, experts), (await onCpu(experts)).slice(0, 5));
  });

  it('replays steps with a fraction of the host\'s work, one submit for 64 launches, in memory that stays flat', async () => {
    const backend = await createWebGpuBackend();
    const engine = createEngine(backend);
    const trainer = createTinyTrainer(engine, { router, dispatch: 'budget' });
    const step = async (index: number): Promise<void> => void (await trainer.step([batchAt(index)], { collectRouting: index % 10 === 0 }));
    for (let index = 0; index < 31; index++) await step(index);
    const { buffers, bytes } = engine.memory();
    const [held, programs] = [backend.memory().bytes, backend.programs];
    const { submits, dispatches } = backend.statistics;
    for (let index = 31; index < 81; index++) await step(index);
    expect(engine.memory()).toMatchObject({ buffers, bytes });
    expect(backend.memory().bytes).toBe(held);
    expect(backend.programs).toBe(programs);
    const full = Math.floor((backend.statistics.dispatches - dispatches) / 64);
    expect(backend.statistics.submits - submits).toBeLessThanOrEqual(full + 2 * 50 + 5);
    engine.dispose();
  });
});
