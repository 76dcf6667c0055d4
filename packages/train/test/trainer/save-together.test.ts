// Ranks that save together: only the first has whole tensors, one at a time; what one loses or changes is named; what one cannot do, none has done. The
// ranks are objects of this process, and their moments are spread; experts that are spread need threads: spread-runs.test.ts.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Comm } from '@xmoe/distributed';
import { createCommTeam } from '@xmoe/testing';
import { createCheckpointStore } from '../../src/checkpoint/store.js';
import { PIECE_HASHES } from '../../src/checkpoint/expert-record.js';
import { gatherEntries } from '../../src/trainer/gather-entries.js';
import { saveTogether } from '../../src/trainer/save-together.js';
import type { TrainedTensors } from '../../src/trainer/trainer-state.js';
import { runDirectory } from './run-directory.js';
import { tinyTrainer } from './tiny-run.js';

const EXPERTS = 4;
const WIDTH = 2;

/** The experts of one layer over the ranks of `comm`, alike in number; `own` are those of this one. */
function spread(comm: Comm, own = Array.from({ length: EXPERTS / comm.size }, (_, index) => (comm.rank * EXPERTS) / comm.size + index)): TrainedTensors {
  const name = 'h.1.moe.experts.w1';
  const data = Float32Array.from(own.flatMap((expert) => [expert, -expert]));
  return {
    parameters: [{ name, dtype: 'float32', shape: [EXPERTS, WIDTH], isSpread: true, read: ({ to = 0, hashes } = {}) => gatherEntries(comm, { name, to, hashes }, data, { begin: own[0] ?? 0, of: EXPERTS }, WIDTH) }],
    optimizer: [],
  };
}

/** What each of `size` ranks ends with, and what is in the folder. */
async function saveOn(size: number, trainedOf: (comm: Comm) => TrainedTensors, own: (comm: Comm) => Comm = (comm) => comm) {
  const directory = join(runDirectory(), 'checkpoints');
  const store = createCheckpointStore({ directory });
  const ends = await Promise.allSettled(createCommTeam(size).map((comm) => saveTogether(own(comm), trainedOf(own(comm)), (writing) => store.save({ ...writing, step: 1, state: {} }))));
  return { store, ends, left: existsSync(directory) ? readdirSync(directory) : [] };
}

const messages = (ends: readonly PromiseSettledResult<unknown>[]): string[] => ends.map((end) => (end.status === 'rejected' ? (end.reason as Error).message : 'saved'));

it.each([1, 2, 4])('%i ranks: the first writes the whole', async (size) => {
  const { store, ends } = await saveOn(size, spread);
  expect(messages(ends)).toEqual(new Array(size).fill('saved'));
  expect((await store.loadLatest()).tensors.parameters![0]).toMatchObject({ shape: [EXPERTS, WIDTH], data: Float32Array.of(0, -0, 1, -1, 2, -2, 3, -3) });
});

it('another rank is given no whole tensor, and the first one at a time', async () => {
  let [held, most] = [0, 0];
  await Promise.all(createCommTeam(2).map((comm) => {
    const { trainer } = tinyTrainer({ comm, shardOptimizer: true });
    const watched = (tensors: TrainedTensors[keyof TrainedTensors]): TrainedTensors[keyof TrainedTensors] => tensors.map((tensor) => ({
      ...tensor,
      async read(options) {
        if (comm.rank === 0) return tensor.read(options);
        expect(tensor.isSpread).toBe(true);
        const whole = await tensor.read(options);
        expect(whole).toBeNull();
        return whole;
      },
    }));
    const { parameters, optimizer } = trainer.trained;
    return saveTogether(comm, { parameters: watched(parameters), optimizer: watched(optimizer) }, async ({ tensors, ready }) => {
      expect(Object.values(tensors).flat().length).toBeGreaterThan(20);
      for (const { read } of Object.values(tensors).flat().reverse()) {
        most = Math.max(most, ++held);
        await read();
        held--;
      }
      await ready();
    });
  }));
  expect(most).toBe(1);
});

describe('F34: names the layer and the expert', () => {
  it.each<[string, number[], string]>([['that no rank has', [2], '0 ranks hold expert 3 of h.1.moe (w1)'], ['that two have', [1, 2, 3], '2 ranks hold expert 1 of h.1.moe (w1)']])('%s', async (_, own, message) => {
    const { ends, left } = await saveOn(2, (comm) => spread(comm, comm.rank === 1 ? own : undefined));
    for (const text of messages(ends)) expect(text).toContain(message);
    expect(left).toEqual([]);
  });

  it('that came other than it left', async () => {
    // The third rank of three sends: the first sees it, and the others have gone on by then.
    const damaging = (comm: Comm): Comm => ({
      ...comm,
      async allToAllV(send, sendCounts, receive, receiveCounts) {
        await comm.allToAllV(send, sendCounts, receive, receiveCounts);
        if (receive instanceof Float32Array && receiveCounts[1]! > 0) receive[WIDTH] = 7;
      },
    });
    const { ends, left } = await saveOn(4, (comm) => spread(comm, [[0], [1, 2], [3], []][comm.rank]), damaging);
    expect(messages(ends)).toEqual(['save: expert 2 of h.1.moe (w1) came from rank 1 other than it left', 'rank 0 failed', 'rank 0 failed', 'rank 0 failed']);
    expect(left).toEqual([]);
  });
});

describe('is done by all or by none', () => {
  it('a rank that cannot give its last part leaves nothing behind', async () => {
    const { ends, left } = await saveOn(2, (comm) => {
      const { parameters: [tensor] } = spread(comm);
      return { optimizer: [], parameters: [{ ...tensor!, async read(options) {
        const whole = await tensor!.read(options);
        if (comm.rank === 1) throw new Error('the device is gone');
        return whole;
      } }] };
    });
    expect(messages(ends)).toEqual(['another rank failed while the checkpoint was written', 'the device is gone']);
    expect(left).toEqual([]);
  });

  it('a value that is not finite, which only the first sees', async () => {
    const { ends, left } = await saveOn(2, (comm) => spread(comm, comm.rank === 1 ? [2, Infinity] : undefined));
    expect(messages(ends)).toEqual(['parameters h.1.moe.experts.w1 is not finite at element 6, so it is not saved', 'rank 0 failed']);
    expect(left).toEqual([]);
  });

  it('a writer that fails before it read anything', async () => {
    const ends = await Promise.allSettled(createCommTeam(2).map((comm) => saveTogether(comm, spread(comm), () => Promise.reject(new Error('no room')))));
    expect(messages(ends)).toEqual(['no room', 'rank 0 failed']);
  });
});

it('hashes of no pieces are none', () => {
  expect([PIECE_HASHES.of(new Uint8Array(), 0), PIECE_HASHES.of(new Uint8Array(4), 2)].map(({ length }) => length / PIECE_HASHES.digits)).toEqual([0, 2]);
});
