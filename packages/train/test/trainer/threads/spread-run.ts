// A rank that trains a tiny model with the experts spread over groups of the team. Started as a thread; no test file of its own.
import { groupRanks } from '@xmoe/distributed';
import { asThread } from '@xmoe/testing/threads';
import { trainTiny, type Trained, type TrainTinyOptions } from '../train-tiny.js';

export interface SpreadRunTask extends TrainTinyOptions {
  readonly expertParallel: number;
}

await asThread<SpreadRunTask, Trained>(async (comm, { expertParallel, ...options }) => trainTiny(comm, { ...options, ranks: await groupRanks(comm, expertParallel) }));
