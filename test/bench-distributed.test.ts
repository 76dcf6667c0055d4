// What the benchmark of ranks counts and models, and what it says without an MPI. Its run under one takes longer than CI has for it.
import { SoloComm, createBackgroundSums, groupRanks, reduceInOrder } from '@xmoe/distributed';
import { loadLanguagePreset } from '@xmoe/models/presets';
import { createCommTeam } from '@xmoe/testing';
import { describe, expect, it, vi } from 'vitest';
import { countedGroups, createCallLog } from '../bench/distributed/counted-comm.js';
import { benchDistributed } from '../bench/distributed/section.js';
import { stepTime, type Layout, type Rates } from '../bench/distributed/step-model.js';

describe('a counted Comm', () => {
  it('passes everything on, and counts what each rank sends, by kind', async () => {
    const length = 10;
    const logs = await Promise.all(createCommTeam(2).map(async (comm) => {
      const log = createCallLog();
      const { world } = countedGroups(await groupRanks(comm, 1), log, false);
      const values = new Float32Array(length).fill(comm.rank + 1);
      await reduceInOrder(world, values, 2);
      expect([...values]).toEqual(new Array(length).fill(3));
      await world.broadcast(values, 1);
      await world.allReduce(Int32Array.of(1), 'sum');
      return log.calls.map(({ kind, bytes }) => [kind, bytes]);
    }));
    // Half of the numbers to the other rank, and the sums of the own half to it.
    const sum = [['gradients', 20], ['gradients', 20]];
    expect(logs).toEqual([[...sum, ['parameters', 0], ['figures', 4]], [...sum, ['parameters', 40], ['figures', 4]]]);
  });

  it('counts what goes beside a computation as one call, and leaves it out where it is told to', async () => {
    const logs = await Promise.all(createCommTeam(2).map(async (comm) => {
      const log = createCallLog();
      const { world } = countedGroups(await groupRanks(comm, 1), log, true);
      const sums = createBackgroundSums(await world.background!());
      for (const length of [10, 6]) sums.begin(new Float32Array(length).fill(1), [length / 2, length / 2], (sum) => expect([...sum]).toEqual(new Array(length).fill(2)));
      await sums.finish();
      return log.calls.map(({ kind, bytes }) => [kind, bytes]);
    }));
    expect(logs).toEqual([[['gradients', 64]], [['gradients', 64]]]);
    const [comm] = createCommTeam(2);
    expect(countedGroups({ world: comm!, data: comm!, experts: new SoloComm() }, createCallLog(), false).world.background).toBeUndefined();
  });

  it('tells claims, which go to experts, from results, which come back', () => {
    const log = createCallLog();
    const world = new SoloComm();
    const { experts } = countedGroups({ world, data: world, experts: { ...world, size: 2, rank: 0, allToAllVNow: () => undefined } as never }, log, true);
    const rows = (): void => experts.allToAllVNow(new Float32Array(5), Int32Array.of(2, 3), new Float32Array(5), Int32Array.of(2, 3));
    experts.allToAllVNow(new Int32Array(4), Int32Array.of(2, 2), new Int32Array(4), Int32Array.of(2, 2));
    for (let pass = 0; pass < 2; pass++) for (let way = 0; way < 2; way++) rows();
    expect(log.calls.map(({ kind, bytes }) => [kind, bytes])).toEqual([['counts', 8], ['claims', 12], ['results', 12], ['claims', 12], ['results', 12]]);
  });
});

describe('the model of a step', () => {
  const config = loadLanguagePreset('tiny');
  const layout: Layout = { ranks: 1, experts: 1, perRank: 1, sharded: false };
  const free: Rates = { flops: 1e9, network: Infinity, latency: 0, memory: Infinity, additions: Infinity };
  const timeOf = (change: Partial<Layout>, rates: Partial<Rates> = {}) => stepTime(config, 512, { ...layout, ...change }, { ...free, ...rates });

  it('computes as long on any number of ranks, and sends nothing on one', () => {
    const alone = timeOf({}, { network: 1, latency: 1 });
    expect(alone).toMatchObject({ claims: 0, gradients: 0, update: 0, total: alone.compute });
    expect(timeOf({ ranks: 64, experts: 8, perRank: 3 }).total).toBeCloseTo(3 * alone.total, 9);
  });

  it('sends gradients twice, shards and their parameters once more, and claims of experts four times', () => {
    const parameters = 4 * (512 * 64 + 64 * 64 + 2 * 64 + 2 * (4 * 64 * 64 + 8 * 64) + (2 * 64 * 256 + 256 + 64) + 8 * (2 * 64 * 128 + 128 + 64) + 8 * 64);
    expect(timeOf({ ranks: 4 }, { network: 1 }).gradients).toBeCloseTo(2 * 0.75 * parameters, 3);
    expect(timeOf({ ranks: 4, sharded: true }, { network: 1 }).update).toBeCloseTo(0.75 * parameters, 3);
    const [tokens, choices, width] = [8 * 64, 2, 64];
    expect(timeOf({ ranks: 2, experts: 2 }, { network: 1 }).claims).toBeCloseTo(0.5 * (4 * tokens * choices * width * 4 + 8 * 4), 3);
  });

  it('hides the bytes of gradients as long as the last backward pass goes on, where every rank has all', () => {
    const alone = timeOf({}).compute;
    const slow = timeOf({ ranks: 4, perRank: 2 }, { network: 1 });
    expect(slow.hidden).toBeCloseTo((2 / 3) * alone, 9);
    expect(slow.total).toBeCloseTo(2 * alone + slow.gradients - slow.hidden, 6);
    const fast = timeOf({ ranks: 4 }, { network: 1e12 });
    expect(fast.hidden).toBe(fast.gradients);
    expect(timeOf({ ranks: 4, experts: 2 }, { network: 1 }).hidden).toBe(0);
  });

  it('takes a message to every rank for a sum: that is what ends scaling', () => {
    const latency = 1e-3;
    expect(timeOf({ ranks: 4096 }, { latency }).gradients - timeOf({ ranks: 2048 }, { latency }).gradients).toBeCloseTo(2 * 2048 * latency, 1); // there and back
    expect(timeOf({ ranks: 4096, experts: 64 }, { latency }).gradients).toBeLessThan(timeOf({ ranks: 4096 }, { latency }).gradients / 5);
  });
});

describe('the section', () => {
  it('says what is missing where there is no launcher', async () => {
    vi.stubEnv('PATH', '');
    const [table] = await benchDistributed('cpu:wasm', true, { repeat: 1, sampleMs: 0 });
    vi.unstubAllEnvs();
    expect(table).toMatchObject({ id: 'distributed-absent', rows: [], note: expect.stringMatching(/^Not measured: .*no launcher.*install-mpi\.sh/) });
  });
});
