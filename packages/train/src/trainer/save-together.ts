// How ranks write a checkpoint together: the first writes one tensor after another, the others give it what they hold of each, and keep nothing. What is
// written, and where, is the writer's.
import { XMoEError } from '@xmoe/core';
import type { Comm } from '@xmoe/distributed';
import { PIECE_HASHES } from '../checkpoint/expert-record.js';
import type { ReadableTensor } from '../checkpoint/tensor-format.js';
import type { TrainedTensor, TrainedTensors } from './trainer-state.js';

export interface Writing {
  /** By group; each is read once, when it is written. */
  readonly tensors: Readonly<Record<string, readonly ReadableTensor[]>>;
  /** To be awaited when all is written and nothing of it can be seen yet. */
  ready(): Promise<void>;
}

/**
 * Rank 0 does `write`, however long it takes; all return once it is done. What it returns, and null on the others.
 * @throws XMoEError on all ranks, when it fails on one: then none takes it for written
 */
export async function saveTogether<Result>(comm: Comm, trained: TrainedTensors, write: (writing: Writing) => Promise<Result>): Promise<Result | null> {
  const spread = Object.values(trained).flat().filter(({ isSpread }) => isSpread);
  return comm.unhurried(async () => (comm.rank === 0 ? writeFirst(comm, spread, trained, write) : helpFirst(comm, spread)));
}

/** What comes next, for all ranks: a number of a spread tensor, or one of these after them. The largest that a rank says is done. */
const [NOTHING, READY, DONE, FAILED] = [-1, 0, 1, 2];

async function agree(comm: Comm, says: number): Promise<number> {
  const largest = Int32Array.of(says);
  await comm.allReduce(largest, 'max');
  return largest[0]!;
}

function another(): XMoEError {
  return new XMoEError('interrupted', 'another rank failed while the checkpoint was written', { hint: 'its own message says why; nothing was saved' });
}

async function writeFirst<Result>(comm: Comm, spread: readonly TrainedTensor[], trained: TrainedTensors, write: (writing: Writing) => Promise<Result>): Promise<Result> {
  let isKnown = false; // by all ranks, that one failed
  const say = async (what: number): Promise<void> => {
    if ((await agree(comm, what)) === what) return;
    isKnown = true;
    throw another();
  };
  const one = (tensor: TrainedTensor): ReadableTensor => ({
    name: tensor.name, dtype: tensor.dtype, shape: tensor.shape,
    async read() {
      if (tensor.isSpread) await say(spread.indexOf(tensor));
      return (await tensor.read({ hashes: PIECE_HASHES }))!;
    },
  });
  try {
    const tensors = Object.fromEntries(Object.entries(trained).map(([group, all]) => [group, all.map(one)]));
    const result = await write({ tensors, ready: () => say(spread.length + READY) });
    await say(spread.length + DONE);
    return result;
  } catch (error) {
    if (!isKnown) await agree(comm, spread.length + FAILED);
    throw error;
  }
}

async function helpFirst(comm: Comm, spread: readonly TrainedTensor[]): Promise<null> {
  let failure: unknown;
  for (;;) {
    const next = await agree(comm, failure === undefined ? NOTHING : spread.length + FAILED);
    if (next === spread.length + FAILED) throw failure ?? new XMoEError('interrupted', 'rank 0 failed', { hint: 'its own message says why; nothing was saved' });
    if (next === spread.length + DONE) return null;
    if (next === spread.length + READY) continue;
    try {
      await spread[next]!.read({ hashes: PIECE_HASHES });
    } catch (error) {
      failure = error;
    }
  }
}
