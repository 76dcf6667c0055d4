// Sums beside a computation: the bits of those that are waited for, however many are under way and in whatever order transfers end. Ranks are objects of this process;
// over MPI they are in collectives.test.ts.
import { createCommTeam } from '@xmoe/testing';
import { describe, expect, it } from 'vitest';
import { createBackgroundSums, createBlocks, reduceInOrder, type BackgroundComm } from '../src/index.js';
import { termOf } from './ranks/terms.js';

const LENGTHS = [1003, 1, 0, 64, 5, 700];

const partsOf = (length: number, size: number): number[] => Array.from({ length: size }, (_, rank) => Math.floor(((rank + 1) * length) / size) - Math.floor((rank * length) / size));
const ofRank = (rank: number, length: number): Float32Array => termOf(rank, length);

/** What rank by rank comes of sums of all LENGTHS, the computation between two of them being `between`. */
async function summed(size: number, isWhole: boolean): Promise<Float32Array[][]> {
  return Promise.all(createCommTeam(size).map(async (comm) => {
    const blocks = createBlocks(800); // some are longer
    const sums = createBackgroundSums(await comm.background!(), { isWhole, blocks });
    const made: Float32Array[] = [];
    for (let time = 0; time < 2; time++) { // with what the first time left in the blocks
      for (const [index, length] of LENGTHS.entries()) {
        const values = blocks.take(length);
        values.set(ofRank(comm.rank, length));
        sums.begin(values, partsOf(length, size), (sum) => {
          made[index] = sum.slice();
          blocks.give(values);
        });
        if (index % 2 === comm.rank % 2) sums.poll(); // ranks are not at the same place
      }
      await sums.finish();
    }
    return made;
  }));
}

it('blocks are used again, each by one at a time; longer arrays for their length alone', () => {
  const blocks = createBlocks(10);
  const [first, second] = [blocks.take(10), blocks.take(3)];
  expect(first.buffer).not.toBe(second.buffer);
  blocks.give(second);
  expect([blocks.take(7), blocks.take(7)].map(({ buffer, length }) => [buffer === second.buffer, length])).toEqual([[true, 7], [false, 7]]);
  const long = blocks.take(11);
  blocks.give(long);
  expect(blocks.take(12).buffer).not.toBe(long.buffer);
  expect(blocks.take(11).buffer).toBe(long.buffer);
  expect(blocks.take(11).buffer).not.toBe(long.buffer);
});

async function inOrder(size: number, length: number): Promise<Float32Array> {
  const [first] = await Promise.all(createCommTeam(size).map(async (comm) => {
    const values = ofRank(comm.rank, length);
    await reduceInOrder(comm, values, size);
    return values;
  }));
  return first!;
}

describe.each([2, 4, 8])('%i ranks', (size) => {
  it('have the bits of sums in order', async () => {
    const ranks = await summed(size, true);
    for (const [index, length] of LENGTHS.entries()) {
      const expected = await inOrder(size, length);
      for (const made of ranks) expect(made[index]).toEqual(expected);
    }
  });

  it('have a part each, where that is asked for', async () => {
    const ranks = await summed(size, false);
    for (const [index, length] of LENGTHS.entries()) {
      const lengths = partsOf(length, size);
      const expected = await inOrder(size, length);
      let at = 0;
      for (const [rank, made] of ranks.entries()) expect(made[index]).toEqual(expected.subarray(at, (at += lengths[rank]!)));
    }
  });
});

it('three ranks add one after another', async () => {
  const [made] = await summed(3, true);
  const [first, second, third] = [0, 1, 2].map((rank) => ofRank(rank, 1003));
  expect(made![0]).toEqual(first!.map((value, index) => Math.fround(Math.fround(value + second![index]!) + third![index]!)));
});

it('waits where more would be under way than it may, and begins one that is larger alone', () => {
  const waited: number[] = [];
  let done = false;
  const comm: BackgroundComm = {
    rank: 0,
    size: 2,
    exchange: () => ({ isDone: () => done }),
    finish: async (isDone) => void expect(isDone()).toBe(true),
    finishNow(isDone) {
      waited.push(Number(isDone()));
      done = true;
      while (!isDone());
      done = false;
    },
  };
  const sums = createBackgroundSums(comm, { isWhole: false, most: 10 });
  const ended: number[] = [];
  for (const [index, length] of [4, 6, 2, 20].entries()) sums.begin(new Float32Array(length), [length, 0], () => void ended.push(index));
  expect(waited).toEqual([0, 0]); // before the third and the fourth
  expect(ended).toEqual([0, 1, 2]);
});
