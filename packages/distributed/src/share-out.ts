// Work that ranks share out item by item, with the result of one process. What the work is, is the caller's.
import type { Comm } from './comm.js';
import { gatherValues } from './gather.js';

export interface ShareOptions {
  /** The work of one rank needs the others at theirs: who has no item in the last round does the round's last once more, for nothing. Default false. */
  readonly isTogether?: boolean;
  /** Asked before each round, on all ranks alike; true ends the work with what there is. */
  readonly stopped?: () => boolean;
}

/**
 * What `work` makes of each item, in their order, on all ranks, which call this with the same items. They go round: of each `size` items in a row every rank
 * does one. Results travel as JSON, which has no NaN.
 */
export async function shareOut<Item, Result>(comm: Comm, items: Iterable<Item>, work: (item: Item) => Promise<Result>, { isTogether = false, stopped = () => false }: ShareOptions = {}): Promise<Result[]> {
  const own: Result[] = [];
  let count = 0;
  for (const round of inRounds(items, comm.size)) {
    if (stopped()) break;
    const isIdle = comm.rank >= round.length;
    if (!isIdle) own.push(await work(round[comm.rank]!));
    else if (isTogether) await work(round.at(-1)!);
    count += round.length;
  }
  if (comm.size === 1) return own;
  const byRank = await gatherValues(comm, own);
  return Array.from({ length: count }, (_, index) => byRank[index % comm.size]![Math.floor(index / comm.size)]!);
}

function* inRounds<Item>(items: Iterable<Item>, size: number): Generator<Item[]> {
  let round: Item[] = [];
  for (const item of items) {
    round.push(item);
    if (round.length < size) continue;
    yield round;
    round = [];
  }
  if (round.length > 0) yield round;
}
