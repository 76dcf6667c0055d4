// A GPU that fails in the middle of a step, on a mock: memory that cannot be had (F41) and a device that is lost (F42). The step fails with
// an error that says what to do, no step is counted, and no weight can be read any more: what was saved before is what a run goes on from.
import { describe, expect, it } from 'vitest';
import { createWebGpuBackend } from '@xmoe/backend-webgpu';
import { createEngine } from '@xmoe/core';
import { createMockGpu, LARGE_GPU } from '@xmoe/testing';
import { batchAt, createTinyTrainer, type Experts } from './tiny-training.js';

const experts: Experts = { router: { type: 'threshold', threshold: 0.8 }, dispatch: 'budget' };

async function open(onUpload?: () => void) {
  const gpu = createMockGpu(LARGE_GPU);
  const engine = createEngine(await createWebGpuBackend({ device: gpu.device, tuning: 'off' }));
  return { gpu, engine, trainer: createTinyTrainer(engine, experts, onUpload) };
}

const step = (trainer: Awaited<ReturnType<typeof open>>['trainer'], accumulation = 2) =>
  trainer.step(Array.from({ length: accumulation }, (_, index) => batchAt(index)), { collectRouting: false });

const NO_ROOM = {
  code: 'memory', message: expect.stringMatching(/no room for [\d.]+ MiB more: tensors hold [\d.]+ MiB already, [\d.]+ MiB would be needed/) as string,
  hint: expect.stringContaining('train.batchSize') as string,
};
const LOST = { code: 'backend', message: expect.stringContaining('the GPU device was lost (unknown): it fell off the bus') as string, hint: expect.stringContaining('--resume') as string };

describe('memory that cannot be had (F41)', () => {
  it.each([['in the first step', 0], ['when the step is recorded, with more micro-batches', 1]])('%s: an error with what would be needed and what to do', async (_, before) => {
    const { gpu, engine, trainer } = await open();
    for (let index = 0; index < before; index++) await step(trainer);
    gpu.memoryLimit = before === 0 ? 2 ** 14 : gpu.memory.bytes + 4096;
    await expect(step(trainer, 3)).rejects.toMatchObject(NO_ROOM);
    expect(trainer.state.step).toBe(before);
    await expect(trainer.tensors()).rejects.toMatchObject({ code: 'memory' });
    await expect(step(trainer)).rejects.toMatchObject({ code: 'memory' });
    engine.dispose();
  });

  it('does not touch what is recorded: replayed steps make nothing', async () => {
    const { gpu, engine, trainer } = await open();
    for (let index = 0; index < 2; index++) await step(trainer);
    gpu.memoryLimit = gpu.memory.bytes;
    for (let index = 0; index < 3; index++) await step(trainer);
    expect(trainer.state.step).toBe(5);
    engine.dispose();
  });
});

describe('a lost device (F42)', () => {
  it.each([['warms up', 0], ['is recorded', 1], ['is replayed', 2]])('while a step %s', async (_, before) => {
    let uploads = 0;
    const { gpu, engine, trainer } = await open(() => {
      // Before the second micro-batch of the step.
      if (uploads++ === 2 * before + 1) gpu.lose('it fell off the bus');
    });
    for (let index = 0; index < before; index++) await step(trainer);
    await expect(step(trainer)).rejects.toMatchObject(LOST);
    expect(trainer.state.step).toBe(before);
    await expect(trainer.tensors()).rejects.toMatchObject(LOST);
    engine.dispose();
  });
});
