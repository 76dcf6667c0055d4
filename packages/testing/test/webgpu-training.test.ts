// Whole runs on WebGPU: half precision, resuming bit for bit, and a device that is lost in the middle. Needs an adapter, software
// will do; without one the file says so and these tests do not run.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createWebGpuBackend } from '@xmoe/backend-webgpu';
import { createEngine, type Engine } from '@xmoe/core';
import { readMetrics } from '@xmoe/train/node';
import { webGpuAdapter } from '../../backend-webgpu/test/adapter.js';
import { batchSource, runTiny, type HostBatch } from '../../train/test/trainer/tiny-run.js';
import { runDirectory } from '../../train/test/trainer/run-directory.js';

const adapter = await webGpuAdapter();
const onWebGpu = async (): Promise<Engine> => createEngine(await createWebGpuBackend());
const lossesOf = (directory: string): number[] => readMetrics(join(directory, 'metrics.jsonl')).flatMap((row) => (row.kind === 'step' ? [row.loss] : []));

describe.runIf(adapter.available)('a run on webgpu', () => {
  it('stopped and resumed is the same to the bit as in one go', async () => {
    const tiny = { dispatch: 'budget', router: { type: 'controlled-threshold', target: 2 } } as const; // its state moves in recorded steps
    const whole = await runTiny({ directory: runDirectory(), tiny: { ...tiny, engine: await onWebGpu() } });
    expect(whole.weights['h.1.moe.router.state.updates']).toEqual([12]);
    const directory = runDirectory();
    await runTiny({ directory, stopAfter: 7, tiny: { ...tiny, engine: await onWebGpu() } });
    const resumed = await runTiny({ directory, resume: true, tiny: { ...tiny, engine: await onWebGpu() } });
    expect(resumed.weights).toEqual(whole.weights);
  });

  it('whose device is lost ends with an error that says so, and goes on from its last checkpoint', async () => {
    const whole = await runTiny({ directory: runDirectory(), tiny: { engine: await onWebGpu() } });
    const directory = runDirectory();
    const backend = await createWebGpuBackend();
    const source = batchSource();
    const batches = {
      ...source,
      next(): HostBatch {
        if (source.state().index === 7) backend.device.destroy();
        return source.next();
      },
    };
    await expect(runTiny({ directory, batches, tiny: { engine: createEngine(backend) } })).rejects.toMatchObject({
      code: 'backend', message: expect.stringContaining('the GPU device was lost'), hint: expect.stringContaining('--resume'),
    });
    expect(readdirSync(join(directory, 'checkpoints')).filter((name) => name.startsWith('step-'))).toEqual(['step-00000003', 'step-00000006']);
    const resumed = await runTiny({ directory, resume: true, tiny: { engine: await onWebGpu() } });
    expect(resumed.weights).toEqual(whole.weights);
  });

  it.runIf(adapter.float16)('in half precision follows the run in single precision, with a loss scale', async () => {
    const [half, single] = [runDirectory(), runDirectory()];
    const { weights } = await runTiny({ directory: half, tiny: { engine: await onWebGpu(), computeDType: 'float16', dispatch: 'budget', dropout: 0 } });
    await runTiny({ directory: single, tiny: { engine: createEngine(createCpuBackend()), dispatch: 'budget', dropout: 0 } });
    const [losses, expected] = [lossesOf(half), lossesOf(single)];
    expect(losses).toHaveLength(12);
    losses.forEach((loss, step) => expect(Math.abs(loss / expected[step]! - 1), `step ${step + 1}`).toBeLessThan(0.02));
    // Half precision is really used: not one loss of the later steps is the same.
    expect(losses.slice(1).every((loss, step) => loss !== expected[step + 1])).toBe(true);
    expect(Object.values(weights).flat().every(Number.isFinite)).toBe(true);
  });
});
