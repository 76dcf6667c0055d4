// How much work pays for waking another thread, and how rows are cut into chunks whose partial sums are joined in order.

/** Simple operations on one element (a load, an addition, a store): some ten microseconds. */
const WORK = 2 ** 15;

/** Items per piece when one item takes `cost` simple operations. */
export function grainOf(cost: number): number {
  return Math.ceil(WORK / Math.max(1, cost));
}

/** Chunks of rows with a partial sum each. They depend on the number of rows alone, so that results do not depend on threads. */
export interface Chunks {
  readonly count: number;
  readonly size: number;
}

const MOST_CHUNKS = 32;

/** At most 32 chunks of at least `smallest` rows; one empty chunk of no rows. */
export function chunksOf(rows: number, smallest = 8): Chunks {
  const size = Math.max(smallest, Math.ceil(rows / MOST_CHUNKS));
  return { count: Math.max(1, Math.ceil(rows / size)), size };
}
