// Memory of recorded steps on a GPU, which a mock shows at any size: it does not grow with the micro-batches of an update, nor with
// the kinds of updates, and a step that fails leaves none behind.
import { describe, expect, it } from 'vitest';
import { createWebGpuBackend } from '@xmoe/backend-webgpu';
import { createEngine, type Engine } from '@xmoe/core';
import { createMockGpu, LARGE_GPU, type MockGpu } from '@xmoe/testing';
import { batchAt, createTinyTrainer, type Experts } from './tiny-training.js';

const experts: Experts = { router: { type: 'threshold', threshold: 0.8 }, dispatch: 'budget' };

async function open(): Promise<{ gpu: MockGpu; engine: Engine }> {
  const gpu = createMockGpu(LARGE_GPU);
  return { gpu, engine: createEngine(await createWebGpuBackend({ device: gpu.device, tuning: 'off' })) };
}

const batches = (count: number) => Array.from({ length: count }, (_, index) => batchAt(index));

/** Most bytes, and bytes between updates, of a trainer whose updates collect routing or not as listed. */
async function bytesOf(accumulation: number, kinds: readonly boolean[]): Promise<{ peak: number; idle: number }> {
  const { gpu, engine } = await open();
  const trainer = createTinyTrainer(engine, experts);
  for (const collectRouting of kinds) await trainer.step(batches(accumulation), { collectRouting });
  const idle = gpu.memory.bytes;
  trainer.dispose();
  engine.dispose();
  return { peak: gpu.memory.peakBytes, idle };
}

const four = (collectRouting: boolean): boolean[] => Array.from({ length: 4 }, () => collectRouting);
/** What each micro-batch may keep: its losses, and the sums that a routing report reads. */
const KEPT = { losses: 16 * 256, routing: 64 * 256 };

describe('memory of recorded updates', () => {
  it('does not depend on the number of micro-batches', async () => {
    const [one, two, eight, many] = [await bytesOf(1, four(false)), await bytesOf(2, four(false)), await bytesOf(8, four(false)), await bytesOf(32, four(false))];
    for (const key of ['peak', 'idle'] as const) {
      expect(eight[key] - two[key]).toBeLessThanOrEqual(6 * KEPT.losses);
      expect(many[key] - two[key]).toBeLessThanOrEqual(30 * KEPT.losses);
    }
    // The sums are held through the next micro-batch, where a single one holds gradients only at its end.
    expect(two.peak).toBeLessThan(1.15 * one.peak);
  });

  it('is shared by updates with and without a routing report', async () => {
    const [plain, both] = [await bytesOf(4, four(false)), await bytesOf(4, [...four(false), ...four(true)])];
    expect(both.peak - plain.peak).toBeLessThanOrEqual(4 * KEPT.routing);
  });

  it('of the warm-up is that of the recording', async () => {
    const [first, fourth] = [await bytesOf(4, [false]), await bytesOf(4, four(false))];
    expect(fourth.peak).toBeLessThanOrEqual(first.peak + 4 * KEPT.losses);
  });

  it.each([['warms up', 0], ['is recorded', 1], ['is replayed', 2]])('is given back by an update that fails while it %s', async (_, failing) => {
    const { gpu, engine } = await open();
    let left = Infinity;
    const trainer = createTinyTrainer(engine, experts, () => {
      if (left-- === 0) throw new Error('no more data');
    });
    for (let step = 0; step < failing; step++) await trainer.step(batches(3), { collectRouting: false });
    const before = engine.memory();
    // In the third micro-batch: sums of gradients are under way.
    left = 2;
    await expect(trainer.step(batches(3), { collectRouting: false })).rejects.toThrow('no more data');
    left = Infinity;
    expect(engine.memory()).toMatchObject({ buffers: before.buffers, bytes: before.bytes });
    const bytes = gpu.memory.bytes;
    for (let step = 0; step < 4; step++) await trainer.step(batches(3), { collectRouting: false });
    trainer.dispose();
    engine.dispose();
    expect(bytes).toBeLessThanOrEqual(gpu.memory.peakBytes);
    expect(gpu.memory.bytes).toBeLessThan(2 ** 20);
  });
});
