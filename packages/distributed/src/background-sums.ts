// Sums over ranks that are made while something else is computed: array after array, each rank adding one part of every array. What the arrays are is the
// caller's to say; sums that are waited for are reduce-in-order.ts.
import { createBlocks, type Blocks } from './blocks.js';
import { TAGS, type BackgroundComm, type Transfer } from './comm.js';
import { addTo, sumParts } from './reduce-in-order.js';

export interface BackgroundSums {
  /**
   * Begins the sum of `values` over all ranks, of which part r, of `lengths[r]` numbers, is added by rank r; all ranks begin the same sums in the same order. It
   * takes over `values`, and hands the sum to `done` when it is there: of all parts, or where `isWhole` is false of this rank's. Waits where too much is under way.
   */
  begin(values: Float32Array, lengths: readonly number[], done: (sum: Float32Array) => void): void;
  /** Moves on what is under way. */
  poll(): void;
  /** Waits until all that has begun is done. */
  finish(): Promise<void>;
}

export interface BackgroundSumsOptions {
  /** Default true: every rank gets all parts. */
  readonly isWhole?: boolean;
  /** Numbers that may be under way before `begin` waits: they take twice their memory. Default 2²³. */
  readonly most?: number;
  /** Where numbers of other ranks go. Default: its own. */
  readonly blocks?: Blocks;
}

/**
 * The numbers of a power of two of ranks are added in the order of `reduceInOrder`, neighbours first, and have its bits where each rank's are the sum by halves of
 * its terms; those of other numbers of ranks one after another.
 */
export function createBackgroundSums(comm: BackgroundComm, { isWhole = true, most = 2 ** 23, blocks = createBlocks(1) }: BackgroundSumsOptions = {}): BackgroundSums {
  const { rank, size } = comm;
  const isTree = Number.isInteger(Math.log2(size));
  /** What is under way, in its order, and what each waits for. */
  const waiting = new Map<Generator<Transfer, void>, { transfer: Transfer; length: number }>();
  let [tag, underWay] = [0, 0];

  function* sum(values: Float32Array, lengths: readonly number[], done: (sum: Float32Array) => void): Generator<Transfer, void> {
    const own = tag; // and the next one: a sum is two exchanges
    tag = (tag + 2) % TAGS;
    const parts = cut(values, lengths);
    const length = lengths[rank]!;
    const others = blocks.take(length * size);
    const received = parts.map((part, from) => (from === rank ? part : others.subarray(from * length, (from + 1) * length)));
    yield comm.exchange(own, parts, received);
    const added = isTree ? sumParts(received)! : received.reduce(addTo);
    if (added !== parts[rank]) parts[rank]!.set(added);
    blocks.give(others);
    if (!isWhole) return done(parts[rank]!);
    yield comm.exchange(own + 1, parts.map(() => parts[rank]!), parts);
    done(values);
  }

  /** Goes on with a sum whose transfer is over. */
  const advance = (one: Generator<Transfer, void>, length: number): void => {
    const { value, done } = one.next();
    if (!done) return void waiting.set(one, { transfer: value, length });
    waiting.delete(one);
    underWay -= length;
  };
  const poll = (): void => {
    for (const [one, { transfer, length }] of waiting) if (transfer.isDone()) advance(one, length);
  };
  return {
    begin(values, lengths, done) {
      if (underWay > 0 && underWay + values.length > most) comm.finishNow(() => (poll(), underWay === 0 || underWay + values.length <= most));
      underWay += values.length;
      advance(sum(values, lengths, done), values.length);
    },
    poll,
    finish: () => comm.finish(() => (poll(), waiting.size === 0)),
  };
}

function cut(values: Float32Array, lengths: readonly number[]): Float32Array[] {
  let at = 0;
  return lengths.map((length) => values.subarray(at, (at += length)));
}
