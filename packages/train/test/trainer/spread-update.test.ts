// Updates of a model whose experts are spread over ranks: weights, moments and reports have the bits of a process alone, and checkpoints its bytes. The ranks
// are threads of this process; over MPI they are tested with the programs.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { runThreads } from '@xmoe/testing/threads';
import type { SpreadRunTask } from './threads/spread-run.js';
import { runDirectory } from './run-directory.js';
import { runTiny } from './tiny-run.js';
import { trainTiny, type Trained } from './train-tiny.js';

const ROUTERS: Record<string, NonNullable<SpreadRunTask['router']>> = {
  threshold: { type: 'threshold', threshold: 0.7 },
  topk: { type: 'topk', k: 2 },
  'controlled-threshold': { type: 'controlled-threshold', target: 2, proportional: 0.2, integral: 0.1 },
  base: { type: 'base' },
};
const inOrder = { reduction: 'deterministic' } as const;

/** By title. */
const tasks: Record<string, SpreadRunTask> = {
  '20 updates, all experts over 4 ranks': { ...inOrder, expertParallel: 4, steps: 20 },
  'two groups of 2': { ...inOrder, expertParallel: 2 },
  'a ragged number of micro-batches, two groups of 2': { ...inOrder, expertParallel: 2, microBatches: 7, dispatch: 'grouped' },
  'fewer micro-batches than ranks': { ...inOrder, expertParallel: 4, microBatches: 3, dispatch: 'budget' },
  'one micro-batch, of which a group has none': { ...inOrder, expertParallel: 2, microBatches: 1 },
  'two groups of 2, with a sharded optimiser': { ...inOrder, expertParallel: 2, shardOptimizer: true },
  'half precision': { ...inOrder, expertParallel: 4, computeDType: 'float16' },
  'a norm that is not finite on one rank': { ...inOrder, expertParallel: 2, breakAt: 13 },
  ...Object.fromEntries(Object.entries(ROUTERS).map(([name, router]) => [`${name}, experts in both layers`, { ...inOrder, expertParallel: 4, router, firstExperts: 1 }])),
};
const fast: SpreadRunTask = { reduction: 'fast', expertParallel: 2, microBatches: 6 };

/** Sessions of one run, which each go on with what another number of ranks saved. */
const directory = runDirectory();
const elastic = { ...inOrder, router: ROUTERS.topk! };
const session = (ranks: number, expertParallel: number, stopAfter: number, shardOptimizer = false): SpreadRunTask => ({
  ...elastic, expertParallel, shardOptimizer, session: { directory, ranks, stopAfter, resume: stopAfter > 1 },
});
const sessions = [session(4, 4, 1), session(2, 2, 2, true), session(1, 1, 3), session(4, 2, 4, true)];

let found: Trained[][];

beforeAll(async () => {
  found = await runThreads<SpreadRunTask, Trained>(new URL('./threads/spread-run.ts', import.meta.url), 4, [...Object.values(tasks), ...sessions, fast]);
}, 300_000);

describe('deterministic, on 4 ranks', () => {
  it.each(Object.keys(tasks).map((title, index) => [title, index] as const))('%s: the bits of a process alone', async (title, index) => {
    const { expertParallel: _, shardOptimizer: _sharded, ...options } = tasks[title]!;
    const alone = await trainTiny(undefined, options);
    expect(alone.reports.map(({ skipped }) => skipped)).toEqual(alone.reports.map((_, step) => options.breakAt !== undefined && step === 1));
    for (const rank of found[index]!) expect(rank).toEqual(alone);
  });
});

it('sessions on 4, 2, 1 and 4 ranks, experts and moments spread otherwise each time, end with the bits and the files of one process', async () => {
  const reference = runDirectory();
  const alone = await runTiny({ directory: reference, accumulation: 4, stopAfter: 4, tiny: elastic });
  for (const { weights } of found.at(-2)!) expect(weights).toEqual(alone.weights);
  const file = (of: string, name: string): Buffer => {
    const checkpoints = join(of, 'checkpoints');
    return readFileSync(join(checkpoints, readdirSync(checkpoints).filter((folder) => folder.startsWith('step-')).sort().at(-1)!, name));
  };
  for (const name of ['parameters.safetensors', 'optimizer.safetensors', 'experts.json']) expect(file(directory, name).equals(file(reference, name)), name).toBe(true);
});

it('fast: ranks agree with each other, and with a process alone but for rounding', async () => {
  const ranks = found.at(-1)!;
  for (const rank of ranks) expect(rank).toEqual(ranks[0]);
  const alone = await trainTiny(undefined, { microBatches: 6 });
  for (const [step, { loss, gradientNorm }] of ranks[0]!.reports.entries()) {
    expect(loss).toBeCloseTo(alone.reports[step]!.loss, 4);
    expect(gradientNorm).toBeCloseTo(alone.reports[step]!.gradientNorm, 3);
  }
});
