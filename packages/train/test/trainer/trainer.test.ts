// The trainer: accumulation, determinism, memory, skipped updates, and going on from a checkpoint bit for bit.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine } from '@xmoe/core';
import { createCheckpointStore } from '../../src/checkpoint/store.js';
import type { StoredTensor } from '../../src/checkpoint/tensor-format.js';
import { mergeRouting, type LayerRouting } from '../../src/trainer/layer-routing.js';
import type { TrainerState } from '../../src/trainer/trainer-state.js';
import { runDirectory } from './run-directory.js';
import { batchAt, LENGTH, snapshot, tinyTrainer, VOCABULARY, type HostBatch, type TinyOptions } from './tiny-run.js';

const plain = { collectRouting: false };

/** Losses and final weights of `steps` updates on batches 0, 1, … */
async function trained(steps: number, options: TinyOptions = {}, collectRouting: (step: number) => boolean = () => false) {
  const { trainer, engine } = tinyTrainer(options);
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) losses.push((await trainer.step([batchAt(step)], { collectRouting: collectRouting(step) })).loss);
  const weights = await snapshot(trainer);
  engine.dispose();
  return { losses, weights };
}

function expectClose(actual: Record<string, number[]>, expected: Record<string, number[]>, tolerance: number): void {
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  for (const [name, values] of Object.entries(expected)) {
    const worst = Math.max(...values.map((value, index) => Math.abs(value - actual[name]![index]!)));
    expect(worst, name).toBeLessThanOrEqual(tolerance);
  }
}

const part = ({ inputs, targets }: HostBatch, index: number): HostBatch => ({
  index,
  inputs: inputs.slice(index * LENGTH, (index + 1) * LENGTH),
  targets: targets.slice(index * LENGTH, (index + 1) * LENGTH),
});

describe('gradient accumulation', () => {
  it.each([
    ['even targets', () => true],
    ['uneven targets', (position: number) => position < LENGTH || position % 5 === 0],
    ['a micro-batch without targets', (position: number) => position >= LENGTH],
  ] as const)('F22: four micro-batches equal one batch: %s', async (_, kept) => {
    const engine = (): ReturnType<typeof createEngine> => createEngine(createCpuBackend({ accumulate: 'float64' }));
    const options = { dispatch: null, dropout: 0 } as const;
    const whole = tinyTrainer({ ...options, engine: engine(), sequences: 4 });
    const parts = tinyTrainer({ ...options, engine: engine(), sequences: 1 });
    for (let step = 0; step < 3; step++) {
      const batch = batchAt(step, 4, kept);
      const one = await whole.trainer.step([batch], plain);
      const four = await parts.trainer.step([0, 1, 2, 3].map((index) => part(batch, index)), plain);
      expect(four.targets).toBe(batch.targets.filter((target) => target >= 0).length);
      for (const name of ['loss', 'crossEntropy', 'gradientNorm'] as const) expect(Math.abs(four[name] - one[name])).toBeLessThan(1e-10);
    }
    expectClose(await snapshot(parts.trainer), await snapshot(whole.trainer), 1e-6);
  });

  it('averages the auxiliary loss, and merges the routing of the micro-batches', async () => {
    const { trainer } = tinyTrainer({ dropout: 0 });
    const twice = tinyTrainer({ dropout: 0 });
    const one = await trainer.step([batchAt(0)], { collectRouting: true });
    const two = await twice.trainer.step([batchAt(0), batchAt(0)], { collectRouting: true });
    expect(one.auxLoss).toBeGreaterThan(0);
    expect(two.auxLoss).toBeCloseTo(one.auxLoss, 6);
    expect(two.loss).toBeCloseTo(one.loss, 5);
    expect(one.loss).toBeCloseTo(one.crossEntropy + one.auxLoss, 5);
    const [a, b] = [one.routing![0]!, two.routing![0]!];
    expect(b.layer).toBe('h.1');
    expect(b.summary).toEqual({ ...a.summary, tokens: 2 * a.summary.tokens!, budgetedFlops: 2 * a.summary.budgetedFlops, executedFlops: 2 * a.summary.executedFlops });
  });

  it('refuses an update without micro-batches', async () => {
    await expect(tinyTrainer().trainer.step([], plain)).rejects.toThrow('an update needs a micro-batch');
  });
});

describe('mergeRouting', () => {
  const one: LayerRouting = { tokens: 10, expertsPerToken: 2, keptPerToken: 1, dropRate: 0.5, load: [1, 0], budgetedFlops: 5, executedFlops: 7 };
  it('weighs batches by their tokens and claims', () => {
    const merged = mergeRouting([one, { tokens: 30, expertsPerToken: 1, keptPerToken: 1, dropRate: 0, load: [0, 1], budgetedFlops: 1, executedFlops: 2 }]);
    expect(merged).toEqual({ tokens: 40, expertsPerToken: 50 / 40, keptPerToken: 1, dropRate: 10 / 50, load: [0.25, 0.75], budgetedFlops: 6, executedFlops: 9 });
  });

  it('of batches that routed nothing is 0, not NaN', () => {
    const none = { ...one, tokens: 0, expertsPerToken: 0, keptPerToken: 0, dropRate: 0, load: [0, 0] };
    expect(mergeRouting([none, none])).toEqual({ ...none, budgetedFlops: 10, executedFlops: 14 });
  });
});

describe('determinism', () => {
  it('F23: the same seed gives the same bits; another seed does not', async () => {
    const first = await trained(6);
    expect(await trained(6)).toEqual(first);
    expect((await trained(6, { seed: 2 })).losses).not.toEqual(first.losses);
  });

  it('collecting routing changes no bit', async () => {
    expect(await trained(6, {}, (step) => step % 2 === 0)).toEqual(await trained(6));
  });

  it('learns', async () => {
    const { losses } = await trained(40);
    expect(losses[0]!).toBeGreaterThan(0.9 * Math.log(VOCABULARY));
    expect(losses[39]!).toBeLessThan(0.6 * losses[0]!);
  });
});

describe('memory', () => {
  it('live buffers are flat over 50 steps with routing collected and two micro-batches; dispose frees moments and inputs', async () => {
    const { trainer, engine, parameters } = tinyTrainer();
    const counts: number[] = [];
    for (let step = 0; step < 50; step++) {
      await trainer.step([batchAt(2 * step), batchAt(2 * step + 1)], { collectRouting: true });
      counts.push(engine.memory().buffers);
    }
    expect(counts).toEqual(new Array(50).fill(counts[0]));
    trainer.dispose();
    expect(engine.memory().buffers).toBe(Object.keys(parameters).length + 3); // and the three inputs that upload writes
    engine.dispose();
  });
});

describe('updates without a finite gradient', () => {
  it('change no weight, are counted, and leave Adam as if they had not been', async () => {
    const broken = tinyTrainer({ dispatch: null, dropout: 0, lossFactor: (step) => (step === 2 || step === 3 ? Number.NaN : 1) });
    const { trainer } = broken;
    await trainer.step([batchAt(0)], plain);
    const before = await snapshot(trainer);
    const [second, third] = [await trainer.step([batchAt(1)], plain), await trainer.step([batchAt(2)], plain)];
    expect([second.skipped, third.skipped, second.gradientNorm]).toEqual([true, true, Number.NaN]);
    expect(await snapshot(trainer)).toEqual(before);
    expect(trainer.state).toMatchObject({ step: 3, skippedUpdates: 2, skippedInARow: 2, targetsSeen: 36 });
    const fourth = await trainer.step([batchAt(3)], plain);
    expect(fourth.skipped).toBe(false);
    expect(trainer.state).toMatchObject({ step: 4, skippedUpdates: 2, skippedInARow: 0 });
    // β1 = 0.9: the first moment after two applied updates, and the direction Adam took, correct for two updates, not four.
    const now = await snapshot(trainer);
    const name = 'h.0.attn.c_attn.bias'; // no weight decay
    now[name]!.forEach((value, index) => {
      const [m, v] = [now[`m.${name}`]![index]!, now[`v.${name}`]![index]!];
      const direction = m / (1 - 0.9 ** 2) / (Math.sqrt(v / (1 - 0.95 ** 2)) + 1e-8);
      expect(value).toBeCloseTo(before[name]![index]! - fourth.learningRate * direction, 6);
    });
  });

  it('F20: halve the loss scale in float16 only', async () => {
    const scales = async (computeDType: 'float16' | 'float32'): Promise<number[]> => {
      const { trainer } = tinyTrainer({ computeDType, lossFactor: (step) => (step === 1 ? Number.NaN : 1) });
      const first = await trainer.step([batchAt(0)], plain);
      const second = await trainer.step([batchAt(1)], plain);
      expect([first.skipped, second.skipped]).toEqual([true, false]);
      return [first.lossScale, second.lossScale];
    };
    expect(await scales('float16')).toEqual([2 ** 15, 2 ** 14]);
    expect(await scales('float32')).toEqual([1, 1]);
  });

  it('float16 needs a backend that has it', () => {
    const backend = createCpuBackend();
    const engine = createEngine({ ...backend, capabilities: { ...backend.capabilities, float16: false } });
    expect(() => tinyTrainer({ engine, computeDType: 'float16' })).toThrow('cpu has no float16');
  });
});

describe('checkpoints', () => {
  it.each(['float32', 'float16'] as const)('save, restore, go on equals never having stopped, bit for bit (%s)', async (computeDType) => {
    const store = createCheckpointStore({ directory: join(runDirectory(), 'checkpoints') });
    const uninterrupted = await trained(8, { computeDType });
    const { trainer } = tinyTrainer({ computeDType });
    for (let step = 0; step < 5; step++) await trainer.step([batchAt(step)], plain);
    await store.save({ step: 5, tensors: await trainer.tensors(), state: { trainer: trainer.state } });

    const again = tinyTrainer({ computeDType, seed: 1 });
    const { state, tensors, path } = await store.loadLatest();
    await again.trainer.restore(state.trainer as TrainerState, tensors, path);
    expect(again.trainer.state).toEqual(trainer.state);
    const losses: number[] = [];
    for (let step = 5; step < 8; step++) losses.push((await again.trainer.step([batchAt(step)], plain)).loss);
    expect(losses).toEqual(uninterrupted.losses.slice(5));
    expect(await snapshot(again.trainer)).toEqual(uninterrupted.weights);
  });

  it('refuses a checkpoint without an expert tensor, or with other experts, by name, and changes nothing', async () => {
    const { trainer } = tinyTrainer();
    await trainer.step([batchAt(0)], plain);
    const { parameters, optimizer } = await trainer.tensors();
    const other = tinyTrainer();
    const before = await snapshot(other.trainer);
    const without = (group: StoredTensor[], name: string) => group.filter((tensor) => tensor.name !== name);
    const restore = (tensors: Record<string, StoredTensor[]>) => other.trainer.restore(trainer.state, tensors, 'step-1');
    await expect(restore({ parameters: without(parameters, 'h.1.moe.experts.w2'), optimizer })).rejects.toThrow(/step-1 does not fit the model: missing: h\.1\.moe\.experts\.w2/);
    await expect(restore({ parameters, optimizer: without(optimizer, 'v.h.1.moe.experts.w1') })).rejects.toThrow(/step-1 \(optimizer\).*missing: v\.h\.1\.moe\.experts\.w1/);
    await expect(restore({ parameters })).rejects.toThrow(/missing/);
    const fewer = tinyTrainer({ experts: 3 });
    await expect(fewer.trainer.restore(trainer.state, { parameters, optimizer }, 'step-1')).rejects.toThrow(/experts\.w1 holds 4 experts, not 3/);
    expect(await snapshot(other.trainer)).toEqual(before);
    expect(other.trainer.state.step).toBe(0);
  });
});
