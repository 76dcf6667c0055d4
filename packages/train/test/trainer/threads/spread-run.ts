// A rank that trains a tiny model with the experts spread over groups of the team, or takes part in a session of a run, by so many of the team. Started as a
// thread; no test file of its own.
import { groupRanks } from '@xmoe/distributed';
import { asThread } from '@xmoe/testing/threads';
import { runTiny } from '../tiny-run.js';
import { trainTiny, type Trained, type TrainTinyOptions } from '../train-tiny.js';

export interface SpreadRunTask extends TrainTinyOptions {
  readonly expertParallel: number;
  /** Of a run: what this session does, and how many ranks take part, the first of the team. */
  readonly session?: { readonly directory: string; readonly ranks: number; readonly stopAfter: number; readonly resume: boolean };
}

await asThread<SpreadRunTask, Trained>(async (team, { expertParallel, session, ...options }) => {
  if (!session) return trainTiny(team, { ...options, ranks: await groupRanks(team, expertParallel) });
  const { ranks, ...run } = session;
  const isIn = team.rank < ranks;
  const comm = await team.split(isIn ? 0 : 1);
  if (!isIn) return { weights: {}, reports: [] };
  const { weights } = await runTiny({ ...run, accumulation: 4, comm, tiny: { ...options, comm, ranks: await groupRanks(comm, expertParallel) } });
  return { weights, reports: [] };
});
