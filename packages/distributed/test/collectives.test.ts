// Every collective under both MPIs, on 2 and 4 ranks: what comes out, what is refused, and sums of the same bits for every number of ranks.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { sumByHalves } from '../src/index.js';
import { missingMpis, MPIS, runRanks } from './mpi-support.js';
import { termOf } from './ranks/terms.js';

interface RankResult {
  description: string;
  localSize: number;
  sum: number[];
  window: number[];
  shared: number[];
  part: number[];
  gathered: number[];
  sent: number[];
  exchange: number[];
  groups: number[];
  refusals: string[];
  ordered: string;
  parts: [boolean, boolean];
  besides: boolean[];
  besideRefusals: string[];
  first: { from: number };
  ticks: number;
}

const alone = async (): Promise<string> => {
  const sum = await sumByHalves({ begin: 0, end: 6 }, async (term) => termOf(term, 1003));
  return createHash('sha256').update(sum!).digest('hex');
};

const missing = missingMpis();

for (const family of MPIS) describe.skipIf(missing.includes(family))(family, () => {
  it.each([2, 4])('S9, F36: %i ranks; what comes out, what is refused', async (size) => {
    const { stdout, stderr, code } = await runRanks(family, 'collectives', { ranks: size });
    expect([code, stderr]).toEqual([0, '']);
    const results = JSON.parse(stdout) as RankResult[];
    expect(results).toHaveLength(size);
    const ranks = Array.from({ length: size }, (_, rank) => rank);
    const total = ranks.reduce((sum, rank) => sum + rank, 0);
    for (const [rank, result] of results.entries()) {
      expect(result.description).toMatch(new RegExp(`^${family}.*, ${size} ranks$`));
      expect(result.localSize).toBe(size);
      expect(result.sum).toEqual([total, total + 999 * size]);
      expect(result.window).toEqual([-1, -1, -1, size - 1, size - 1, -1, -1, -1, -1, -1]);
      expect(result.shared).toEqual([0.5, 0.5]);
      expect(result.part).toEqual([2 * rank, 2 * rank + 1].map((index) => size * index + total));
      expect(result.gathered).toEqual(ranks.flatMap((other) => [other, 100 + other]));
      expect(result.sent).toEqual([0, 1, 2].map((index) => 10 * (size - 1) + index));
      expect(result.exchange).toEqual(ranks.flatMap((from) => new Array<number>(from + rank).fill(100 * from + rank)));
      const group = ranks.filter((other) => other % 2 === rank % 2).reverse();
      expect(result.groups).toEqual([group.indexOf(rank), ...group, size]);
      expect(result.first).toEqual({ from: 0 });
      expect(result.ordered).toBe(await alone());
      expect(result.parts).toEqual([true, true]);
      expect(result.besides).toEqual([true, true, true, true, true]);
      expect(result.besideRefusals).toEqual([
        'exchange: there is no tag 32768', `exchange: ${size - 1} arrays to send for ${size} ranks`, `exchange: ${size} arrays to receive for ${size} ranks`,
        `exchange: rank ${rank} sends 1 numbers to itself, and expects 2`,
      ]);
    }
    expect(results[0]!.ticks).toBeGreaterThan(0);
    expect(results[0]!.refusals).toEqual([
      `broadcast: there is no rank ${size} among ${size}`,
      `allGather: ${size} times 2 numbers do not make ${2 * size + 1}`,
      'allToAllV: -1 numbers to send for rank 0',
      `allToAllV: the counts of what to receive add up to ${size}, the array holds ${size + 1}`,
      expect.stringMatching(/^allReduce: the ranks are at different calls: rank 0 at call \d+ \(allReduce of 4 of Float32Array, sum\), rank 1 at call \d+ \(allReduce of 5 of Float32Array, sum\)$/),
      expect.stringMatching(/rank 0 at call \d+ \(broadcast of 4 of Float32Array, from rank 0\), rank 1 at call \d+ \(barrier\)$/),
      'allToAllV: another rank expects other counts than are sent',
      `ranks differ in backend: cpu:wasm on rank 0, cpu:plain on rank ${size - 1}`,
      'no space',
    ]);
    expect(results[1]!.refusals.slice(-3)).toEqual([`allToAllV: rank 0 sends 1 numbers to rank 1, which expects 2`, results[0]!.refusals.at(-2), 'rank 0 failed']);
  });
});
