// Updates with sums in a fixed order, or by MPI, on an engine that records: from the third of a kind on they are repeated, with the bits of updates in full. The
// ranks are objects of this process; recordings themselves are tested with core and with the engine.
import { createWasmBackend } from '@xmoe/backend-cpu';
import { createEngine, type Backend } from '@xmoe/core';
import type { Comm } from '@xmoe/distributed';
import { createCommTeam } from '@xmoe/testing';
import { describe, expect, it } from 'vitest';
import { batchAt, tinyTrainer } from './tiny-run.js';
import { trainTiny, type Trained, type TrainTinyOptions } from './train-tiny.js';

/** A compiled engine, how many segments it has repeated, and whether it is at one. */
async function recordingBackend(): Promise<{ backend: Backend; replayed: () => number; isReplaying: () => boolean }> {
  const own = await createWasmBackend({ threads: 1 });
  let [replayed, isReplaying] = [0, false];
  const record: Backend['record'] = (fn) => {
    const recording = own.record!(fn);
    if ('refused' in recording) return recording;
    const replay = (): void => {
      replayed++;
      isReplaying = true;
      recording.replay();
      isReplaying = false;
    };
    return { ...recording, replay };
  };
  return { backend: { ...own, record }, replayed: () => replayed, isReplaying: () => isReplaying };
}

interface Recorded {
  trained: Trained[];
  replayed: number[];
  /** Transfers that each rank began within a segment that was repeated. */
  early: number[];
}

/** What each of `size` ranks ends with, and what it repeated. */
async function recorded(size: number, options: TrainTinyOptions, background = true): Promise<Recorded> {
  const team = await Promise.all(createCommTeam(size, { background }).map(async (comm) => ({ ...countEarly(comm), ...(await recordingBackend()) })));
  const trained = await Promise.all(team.map(({ of, backend, isReplaying }) => trainTiny(size === 1 ? undefined : of(isReplaying), { ...options, engine: createEngine(backend) })));
  return { trained, replayed: team.map(({ replayed }) => replayed()), early: team.map(({ early }) => early()) };
}

function countEarly(comm: Comm): { of: (isEarly: () => boolean) => Comm; early: () => number } {
  let count = 0;
  const of = (isEarly: () => boolean): Comm => ({
    ...comm,
    ...(comm.background ? {
      background: async () => {
        const own = await comm.background!();
        return { ...own, exchange: (...exchange) => ((count += isEarly() ? 1 : 0), own.exchange(...exchange)) };
      },
    } : {}),
  });
  return { of, early: () => count };
}

async function inFull(size: number, options: TrainTinyOptions): Promise<Trained[]> {
  return Promise.all(createCommTeam(size).map(async (comm) => (
    trainTiny(size === 1 ? undefined : comm, { ...options, engine: createEngine({ ...(await createWasmBackend({ threads: 1 })), record: undefined }) }))));
}

// Routing is collected in every second update, and each kind is repeated from its third on.
const STEPS = 8;
const REPEATED = 4;
const router: TrainTinyOptions['router'] = { type: 'controlled-threshold', target: 2, proportional: 0.2, integral: 0.1 };

describe.each([[false, true], [true, true], [false, false], [true, false]])('deterministic, sharded optimiser: %s, sums beside the backward pass: %s', (shardOptimizer, background) => {
  it('has the bits of one process in full on 1, 2 and 4 ranks, states of layers too, with micro-batches that do not come out even', async () => {
    const options = { steps: STEPS, microBatches: 5, reduction: 'deterministic', router, shardOptimizer } as const;
    const [alone] = await inFull(1, options);
    expect(Object.entries(alone!.weights).some(([name, values]) => name.endsWith('.threshold') && values[0] !== 0)).toBe(true);
    for (const [size, own] of [[1, [5]], [2, [3, 2]], [4, [2, 1, 1, 1]]] as const) {
      const { trained, replayed, early } = await recorded(size, options, background);
      for (const rank of trained) expect(rank).toEqual(alone);
      // Where sums begin when all gradients are there, a segment per chunk of them hands them over: this model is one.
      const handedOver = shardOptimizer && size > 1 && !background ? 1 : 0;
      expect(early).toEqual(own.map(() => expect.toSatisfy((count: number) => count > 0 === (background && size > 1))));
      expect(replayed).toEqual(own.map((count) => REPEATED * (count + handedOver + 1)));
    }
  });
});

it('fast: 3 ranks have the bits of updates in full', async () => {
  const options = { steps: STEPS, microBatches: 7, reduction: 'fast', router } as const;
  const { trained, replayed } = await recorded(3, options);
  expect(trained).toEqual(await inFull(3, options));
  expect(replayed).toEqual([2, 2, 3].map((count) => REPEATED * (count + 1)));
});

it('a path that reads within a micro-batch runs in full', async () => {
  const options = { steps: STEPS, microBatches: 3, reduction: 'deterministic', dispatch: 'grouped' } as const;
  const { trained, replayed } = await recorded(2, options);
  const [alone] = await inFull(1, options);
  for (const rank of trained) expect(rank).toEqual(alone);
  expect(replayed).toEqual([0, 0]);
});

it('what a checkpoint puts back is what a recorded update goes on from', async () => {
  const [first, second] = await Promise.all([1, 2].map(async () => {
    const { backend, replayed } = await recordingBackend();
    return { ...tinyTrainer({ engine: createEngine(backend), sequences: 1, reduction: 'deterministic', router }), replayed };
  }));
  const step = (of: typeof first, index: number) => of!.trainer.step([batchAt(2 * index, 1), batchAt(2 * index + 1, 1)], { collectRouting: false });
  for (let index = 0; index < 4; index++) await step(first, index);
  for (let index = 0; index < 3; index++) await step(second, 90 + index); // another run, recorded
  await second!.trainer.restore(structuredClone(first!.trainer.state), await first!.trainer.tensors(), 'here');
  const before = second!.replayed();
  expect(await step(second, 4)).toEqual(await step(first, 4));
  expect(second!.replayed() - before).toBe(3);
  expect(await second!.trainer.tensors()).toEqual(await first!.trainer.tensors());
});

it('a profile of the host sees every call of a kernel', async () => {
  const { backend, replayed } = await recordingBackend();
  await trainTiny(undefined, { steps: STEPS, microBatches: 2, reduction: 'deterministic', engine: createEngine(backend, { profile: true }) });
  expect(replayed()).toBe(0);
});

it('buffers and memory are flat over recorded updates, also after one that ends in between, and none is left', async () => {
  const { backend } = await recordingBackend();
  const { trainer, engine, parameters } = tinyTrainer({ sequences: 1, reduction: 'deterministic', router, engine: createEngine(backend) });
  const batches = [0, 1, 2].map((index) => batchAt(index, 1));
  const seen = new Set<string>();
  for (let step = 0; step < 9; step++) {
    await trainer.step(batches, { collectRouting: false });
    if (step === 6) await expect(trainer.step([...batches.slice(0, 2), { ...batchAt(3, 1), inputs: [1] }], { collectRouting: false })).rejects.toThrow();
    if (step > 2) seen.add(`${engine.memory().buffers} ${backend.memory!().bytes}`);
  }
  expect([...seen]).toHaveLength(1);
  trainer.dispose();
  expect(engine.memory().buffers).toBe(Object.keys(parameters).length + 3);
  engine.dispose();
});
