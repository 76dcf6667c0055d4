// The sums that ranks meet by: alike calls pass, any other is seen, by every rank alike.
import { describe, expect, it } from 'vitest';
import { areAlike, callSums, lengthsOf, pairsDiffer, type Call } from '../src/mpi/call-sums.js';

const CALL: Call = [4, 70_000, 0, 2 ** 31 - 1, 2];

function sumOver(size: number, bring: (rank: number) => Float64Array): Float64Array {
  const sums = new Float64Array(bring(0).length);
  for (let rank = 0; rank < size; rank++) bring(rank).forEach((value, index) => (sums[index]! += value));
  return sums;
}

describe('sums of a call', () => {
  it.each([1, 2, 7, 1000])('%i ranks at one call are alike, and one that differs in any number is seen', (size) => {
    const meet = (of: (rank: number) => Call): boolean => areAlike(sumOver(size, (rank) => callSums(of(rank), { rank, size })), size);
    expect(meet(() => CALL)).toBe(true);
    if (size === 1) return;
    for (const index of CALL.keys()) expect(meet((rank) => (rank === size - 1 ? (CALL.map((value, at) => (at === index ? value - 1 : value)) as unknown as Call) : CALL)), `number ${index}`).toBe(false);
  });

  it('three ranks in a row, whose mean the middle one has, are no call of all', () => {
    expect(areAlike(sumOver(3, (rank) => callSums([4, 7 + rank, 0, 5, 2], { rank, size: 3 })), 3)).toBe(false);
  });

  it('counts that all expect add up, one that nobody sends does not, nor do two that are exchanged', () => {
    const size = 5;
    const sent = (from: number, to: number): number => 100 * from + to;
    const meet = (expected: (from: number, to: number) => number): Float64Array => sumOver(size, (rank) => {
      const sendCounts = Int32Array.from({ length: size }, (_, to) => sent(rank, to));
      return callSums(CALL, { rank, size }, { sendCounts, receiveCounts: Int32Array.from({ length: size }, (_, from) => expected(from, rank)), length: 10 });
    });
    expect([pairsDiffer(meet(sent)), lengthsOf(meet(sent))]).toEqual([false, 50]);
    expect(pairsDiffer(meet((from, to) => sent(from, to) + (from === 3 && to === 1 ? 1 : 0)))).toBe(true);
    expect(pairsDiffer(meet((from, to) => sent(to === 2 ? 4 - from : from, to)))).toBe(true);
  });
});
