// Work shared out among ranks: the results of one process, in order, on all of them.
import { expect, it } from 'vitest';
import { createCommTeam } from '@xmoe/testing';
import { shareOut, SoloComm } from '../src/index.js';

const square = async (item: number): Promise<number> => item * item;

it.each([0, 1, 3, 4, 9])('%i items', async (count) => {
  const items = Array.from({ length: count }, (_, index) => index + 1);
  const alone = await shareOut(new SoloComm(), items, square);
  expect(alone).toEqual(items.map((item) => item * item));
  for (const size of [2, 4]) for (const all of await Promise.all(createCommTeam(size).map((comm) => shareOut(comm, items, square)))) expect(all).toEqual(alone);
});

it('each rank does its own, and the last round together where it must', async () => {
  const doneOn = async (isTogether: boolean): Promise<number[][]> => Promise.all(createCommTeam(4).map(async (comm) => {
    const done: number[] = [];
    await shareOut(comm, [0, 1, 2, 3, 4, 5], async (item) => void done.push(item), { isTogether });
    return done;
  }));
  expect(await doneOn(false)).toEqual([[0, 4], [1, 5], [2], [3]]);
  expect(await doneOn(true)).toEqual([[0, 4], [1, 5], [2, 5], [3, 5]]);
});

it('what is stopped ends with what there is', async () => {
  const ends = await Promise.all(createCommTeam(2).map((comm) => {
    let asked = 0;
    return shareOut(comm, [1, 2, 3, 4, 5], square, { stopped: () => ++asked === 3 });
  }));
  expect(ends).toEqual([[1, 4, 9, 16], [1, 4, 9, 16]]);
});
