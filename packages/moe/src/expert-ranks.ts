// Ranks that hold the experts of a layer together, and which holds which.

type Numbers = Float32Array | Float64Array | Int32Array;

/** The ranks that hold the experts of a layer together; a `Comm` of @xmoe/distributed is one. */
export interface ExpertRanks {
  readonly rank: number;
  readonly size: number;
  /** Sends `sendCounts[r]` numbers to rank r and gets `receiveCounts[r]` from it; returns when that is done. */
  allToAllVNow<A extends Numbers>(send: A, sendCounts: Int32Array, receive: A, receiveCounts: Int32Array): void;
}

/** The experts of rank `rank`: from `begin`, `count` of them. Alike in number to one. */
export function expertsOfRank(experts: number, { rank, size }: Pick<ExpertRanks, 'rank' | 'size'>): { begin: number; count: number } {
  const begin = Math.floor((rank * experts) / size);
  return { begin, count: Math.floor(((rank + 1) * experts) / size) - begin };
}
