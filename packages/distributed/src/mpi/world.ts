// What all communicators of a process share, and the names of what they do.
import type { MpiAbi } from './abi.js';
import type { Watchdog } from './watchdog.js';

export const OPERATIONS = ['nothing', 'allReduce', 'reduceScatter', 'allGather', 'allToAllV', 'broadcast', 'barrier', 'split', 'close', 'allToAllVNow', 'exchange'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** What all communicators of a process share. */
export interface MpiWorld {
  readonly abi: MpiAbi;
  readonly watchdog: Watchdog;
  /** The end of the last collective of this process: one at a time, on whichever communicator, so that no two can wait for each other. */
  last: Promise<unknown>;
  /** Collectives that are called and not done. */
  pending: number;
  closed: boolean;
  /** Works outside of the time-out that are going on. */
  unhurried: number;
  /** Milliseconds in collectives. */
  spent: number;
}

/** From now on this process waits for others, in time and in communication, until the function is called that this returns. */
export function startWaiting(world: MpiWorld, operation: Operation): () => void {
  const hurried = world.unhurried === 0;
  const began = performance.now();
  if (hurried) world.watchdog.enter('waits', OPERATIONS.indexOf(operation));
  return () => {
    world.spent += performance.now() - began;
    if (hurried && !world.closed) world.watchdog.enter('computes');
  };
}
