// A run on several ranks: they stop together, one writes, and it goes on at another number of them with the same bits. The ranks are objects of
// this process; processes under MPI are tested with the programs.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createCommTeam } from '@xmoe/testing';
import { runDirectory } from './run-directory.js';
import { runTiny, type RunOverrides, type Stop } from './tiny-run.js';

type Outcome = Awaited<ReturnType<typeof runTiny>>;

/** A run of updates of 4 micro-batches on `size` ranks; `own` are the options of one of them. */
const onRanks = (size: number, { tiny, ...rest }: RunOverrides, own: (rank: number) => Partial<RunOverrides> = () => ({})): Promise<Outcome[]> =>
  Promise.all(createCommTeam(size).map((comm) => runTiny({ accumulation: 4, ...rest, comm, tiny: { reduction: 'deterministic', ...tiny, comm }, ...own(comm.rank) })));

const undisturbed = async (): Promise<Outcome['weights']> => (await onRanks(1, { directory: runDirectory() }))[0]!.weights;

it('F33: begun on 4 ranks and resumed on 1, 8 and 2 it ends with the bits of a run of one', async () => {
  const directory = runDirectory();
  for (const [size, stopAfter] of [[4, 3], [1, 5], [8, 9], [2, 12]] as const) {
    const sessions = await onRanks(size, { directory, stopAfter, resume: size !== 4 });
    expect(sessions.map(({ outcome }) => outcome.step)).toEqual(new Array(size).fill(stopAfter));
    if (size === 2) for (const { weights } of sessions) expect(weights).toEqual(await undisturbed());
  }
});

it('what is asked to stop on one rank stops on all at the same step, saved once; only the first reports', async () => {
  const directory = runDirectory();
  const stop: Stop = { requested: false, reason: 'SIGINT' };
  const sessions = await onRanks(4, { directory }, (rank) => (rank === 2 ? { stop, evaluate: async () => ({ loss: ((stop.requested = true), 1) }) } : { evaluate: async () => ({ loss: 1 }) }));
  expect(sessions.map(({ outcome }) => [outcome.step, outcome.completed])).toEqual(new Array(4).fill([4, false]));
  expect(readdirSync(join(directory, 'checkpoints')).filter((name) => name.startsWith('step-')).sort()).toEqual(['step-00000003', 'step-00000004']);
  expect(sessions[0]!.messages.join('')).toContain('stopped by SIGINT at step 4');
  expect(sessions.slice(1).flatMap(({ messages }) => messages)).toEqual([]);
  for (const { weights } of await onRanks(2, { directory, resume: true })) expect(weights).toEqual(await undisturbed());
});

it('F38: what the first rank cannot write, no rank takes for saved', async () => {
  const directory = runDirectory();
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'checkpoints'), 'a file where a folder should be');
  const ends = await Promise.allSettled(createCommTeam(2).map((comm) => runTiny({ directory, accumulation: 2, comm, tiny: { comm } })));
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(ends.map((end) => (end as PromiseRejectedResult).reason.message as string)[1]).toBe('rank 0 failed');
});

it('ranks that do not see the same checkpoints are refused', async () => {
  const [one, other] = [runDirectory(), runDirectory()];
  await onRanks(1, { directory: one, stopAfter: 3 });
  await onRanks(1, { directory: other, stopAfter: 3 });
  await expect(onRanks(2, { directory: one, resume: true }, (rank) => (rank === 1 ? { directory: other } : {}))).rejects.toThrow(/ranks differ in checkpoint/);
});
