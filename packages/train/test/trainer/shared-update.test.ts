// An update whose micro-batches are shared out among ranks: the same bits for every number of them, and what goes wrong on one goes wrong on all.
// The ranks are objects of this process; over MPI they are tested with the programs.
import { describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine } from '@xmoe/core';
import { oneGroup, type Comm } from '@xmoe/distributed';
import { createCommTeam } from '@xmoe/testing';
import { createOptimizerShards } from '../../src/trainer/optimizer-shards.js';
import { batchAt, tinyTrainer } from './tiny-run.js';
import { trainTiny, type Trained, type TrainTinyOptions } from './train-tiny.js';

/** What each of `size` ranks ends with. */
const onRanks = (size: number, options: TrainTinyOptions): Promise<Trained[]> => Promise.all(createCommTeam(size).map((comm) => trainTiny(comm, options)));

describe('deterministic', () => {
  it('60 updates give the same bits of weights, moments and reports alone and on 2, 4 and 8 ranks', async () => {
    const options = { steps: 60, reduction: 'deterministic' } as const;
    const alone = await trainTiny(undefined, options);
    expect(alone.reports[59]!.loss).toBeLessThan(0.8 * alone.reports[0]!.loss);
    for (const size of [2, 4, 8]) for (const rank of await onRanks(size, options)) expect(rank).toEqual(alone);
  });

  it.each([1, 3, 5, 6])('so do updates of %i micro-batches, of which some ranks may have none', async (microBatches) => {
    const options = { microBatches, reduction: 'deterministic', dispatch: 'grouped' } as const;
    const alone = await trainTiny(undefined, options);
    for (const size of [1, 2, 8]) for (const rank of await onRanks(size, options)) expect(rank).toEqual(alone);
  });

  it('a sharded optimiser, whose shards may be empty, changes no bit of weights and moments', async () => {
    const options = { reduction: 'deterministic', experts: 3 } as const;
    const alone = await trainTiny(undefined, options);
    for (const size of [2, 4]) for (const rank of await onRanks(size, { ...options, shardOptimizer: true })) expect(rank).toEqual(alone);
    const one = { ...options, microBatches: 1 }; // all but one rank have none, and change their shards
    for (const rank of await onRanks(4, { ...one, shardOptimizer: true })) expect(rank).toEqual(await trainTiny(undefined, one));
  });

  it('a sharded optimiser keeps a part of the moments, takes them from the whole and gives the whole', async () => {
    const trained = await Promise.all(createCommTeam(2).map(async (comm) => {
      const [first, second] = [tinyTrainer({ comm, shardOptimizer: true, sequences: 1 }), tinyTrainer({ comm, shardOptimizer: true, sequences: 1, seed: 2 })];
      const before = first.engine.memory().bytes;
      await first.trainer.step([batchAt(0, 1), batchAt(1, 1)], { collectRouting: false });
      await second.trainer.restore(structuredClone(first.trainer.state), await first.trainer.tensors(), 'here');
      const tensors = [await first.trainer.tensors(), await second.trainer.tensors()];
      return { before, tensors };
    }));
    const whole = tinyTrainer({ sequences: 1, reduction: 'deterministic' }).engine.memory().bytes;
    for (const { before, tensors: [first, second] } of trained) {
      expect(second).toEqual(first);
      expect(first!.optimizer.some(({ data }) => data.some((value) => value !== 0))).toBe(true);
      expect(before).toBeLessThan(whole);
    }
  });

  it('states of layers, which move by sums over the micro-batches, have the bits of a process alone too', async () => {
    const options = { router: { type: 'controlled-threshold', target: 2, proportional: 0.2, integral: 0.1 }, microBatches: 5, reduction: 'deterministic' } as const;
    const alone = await trainTiny(undefined, options);
    const state = Object.entries(alone.weights).filter(([name]) => name.includes('.state.'));
    expect(state.map(([name, values]) => [name.split('.').at(-1), values[0] !== 0])).toEqual([['threshold', true], ['error', true], ['updates', true]]);
    for (const size of [2, 8]) for (const rank of await onRanks(size, options)) expect(rank).toEqual(alone);
    expect(Object.fromEntries(Object.entries((await trainTiny(undefined, { ...options, reduction: 'device', steps: 1 })).weights).filter(([name]) => name.includes('.state.'))))
      .toEqual(Object.fromEntries(Object.entries((await onRanks(4, { ...options, steps: 1 }))[3]!.weights).filter(([name]) => name.includes('.state.'))));
  });

  it('in half precision the scale of the loss and skipped updates agree on all ranks', async () => {
    const half = (comm?: Comm): Promise<Trained> => trainTiny(comm, {
      engine: createEngine(createCpuBackend()), computeDType: 'float16', reduction: 'deterministic', steps: 4,
      // One rank of four sees it in its own micro-batches.
      lossFactor: (step, batch) => (step === 2 && batch === 13 ? Infinity : 1),
    });
    const alone = await half();
    expect(alone.reports.map(({ skipped }) => skipped)).toEqual([false, true, false, false]);
    for (const rank of await Promise.all(createCommTeam(4).map(half))) expect(rank).toEqual(alone);
  });

  it('one micro-batch makes the bits of a process alone', async () => {
    expect(await trainTiny(undefined, { microBatches: 1, reduction: 'deterministic' })).toEqual(await trainTiny(undefined, { microBatches: 1 }));
  });

  it('refuses three ranks', async () => {
    await expect(onRanks(3, { reduction: 'deterministic' })).rejects.toThrow(/over 1, 2, 4, 8, … ranks, not 3/);
  });
});

describe('fast', () => {
  it.each([2, 3])('%i ranks agree with each other, and with a process alone but for rounding', async (size) => {
    const alone = await trainTiny(undefined, {});
    const ranks = await onRanks(size, { reduction: 'fast' });
    for (const rank of ranks) expect(rank).toEqual(ranks[0]);
    for (const [step, { loss, gradientNorm, routing }] of ranks[0]!.reports.entries()) {
      expect(loss).toBeCloseTo(alone.reports[step]!.loss, 4);
      expect(gradientNorm).toBeCloseTo(alone.reports[step]!.gradientNorm, 3);
      expect(routing?.length).toEqual(alone.reports[step]!.routing?.length);
    }
  });
});

it('fast: with a sharded optimiser ranks agree with each other, and with whole ones but for rounding', async () => {
  const [whole] = await onRanks(3, { reduction: 'fast' });
  const ranks = await onRanks(3, { reduction: 'fast', shardOptimizer: true });
  for (const rank of ranks) expect(rank).toEqual(ranks[0]);
  for (const [step, { loss, gradientNorm }] of ranks[0]!.reports.entries()) {
    expect(loss).toBeCloseTo(whole!.reports[step]!.loss, 5);
    expect(gradientNorm).toBeCloseTo(whole!.reports[step]!.gradientNorm, 4);
  }
});

describe('live buffers', () => {
  it.each(['deterministic', 'fast'] as const)('are flat over updates (%s), and none is left', async (reduction) => {
    const { trainer, engine, parameters } = tinyTrainer({ sequences: 1, reduction });
    const counts: number[] = [];
    for (let step = 0; step < 10; step++) {
      await trainer.step([batchAt(2 * step, 1), batchAt(2 * step + 1, 1)], { collectRouting: true });
      counts.push(engine.memory().buffers);
    }
    expect(counts).toEqual(new Array(10).fill(counts[0]));
    trainer.dispose();
    expect(engine.memory().buffers).toBe(Object.keys(parameters).length + 3);
    engine.dispose();
  });

  it('of an update that ends in between are none', async () => {
    const { trainer, engine } = tinyTrainer({ sequences: 1, reduction: 'deterministic' });
    const batches = [0, 1, 2].map((index) => batchAt(index, 1));
    await trainer.step(batches, { collectRouting: false });
    const before = engine.memory().buffers;
    await expect(trainer.step([...batches, { ...batchAt(3, 1), inputs: [1] }], { collectRouting: false })).rejects.toThrow();
    expect(engine.memory().buffers).toBe(before);
  });
});

it('a parameter without axes has no shards', () => {
  const [comm] = createCommTeam(2);
  expect(() => createOptimizerShards([{ name: 'scale', shape: [], init: { kind: 'ones' }, decay: false }], oneGroup(comm!))).toThrow(/scale has no axis to cut/);
});

it('the gradients of several ranks do not meet on a device', () => {
  expect(() => tinyTrainer({ comm: createCommTeam(2)[0], reduction: 'device' })).toThrow(/gradients of 2 ranks do not meet on a device/);
});
