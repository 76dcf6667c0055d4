// Numbers of a collective whose sums over all ranks say whether all are at the same call, and whether what each sends is what the others expect:
// one reduction, from which every rank sees the same. Calls nothing.

/** The operation, how many calls were before, kind of numbers, length, detail: what all ranks must have alike. */
export type Call = readonly [operation: number, count: number, kind: number, length: number, detail: number];

/** What each rank sends to each, of the calls in which that differs. */
export interface Exchange {
  readonly sendCounts: Int32Array;
  readonly receiveCounts: Int32Array;
  /** Numbers that this rank sends. */
  readonly length: number;
}

/** Bits of a number that goes into the sums: the square of its sum over up to 2^10 ranks is exact. */
const BITS = 16;
const MASK = 2 ** BITS - 1;
const ALIKE = 6;
/** Behind the numbers and their squares. */
const [PAIRS, LENGTHS] = [2 * ALIKE, 2 * ALIKE + 1];

/** What a rank brings to the reduction. Lengths are below 2^31. */
export function callSums([operation, count, kind, length, detail]: Call, { rank, size }: { readonly rank: number; readonly size: number }, exchange?: Exchange): Float64Array {
  const alike = [operation, count & MASK, kind, length & MASK, length >>> BITS, detail];
  return Float64Array.of(...alike, ...alike.map((value) => value * value), exchange ? pairsOf(exchange, rank, size) : 0, exchange?.length ?? 0);
}

/** Whether all brought the same: n times the sum of squares is the square of the sum then, and only then. */
export function areAlike(sums: Float64Array, size: number): boolean {
  for (let index = 0; index < ALIKE; index++) if (size * sums[ALIKE + index]! !== sums[index]! * sums[index]!) return false;
  return true;
}

/** Whether any rank expects of another what that one does not send. */
export const pairsDiffer = (sums: Float64Array): boolean => sums[PAIRS]! % 2 ** 32 !== 0;

/** Numbers that all ranks send together. */
export const lengthsOf = (sums: Float64Array): number => sums[LENGTHS]!;

/**
 * What is sent minus what is expected, each count times an odd weight of its pair of ranks, modulo 2^32: over all ranks 0 where they are the same.
 * One that differs always shows, since an odd factor loses no bit; that several cancel out is one case in 2^32.
 */
function pairsOf({ sendCounts, receiveCounts }: Exchange, rank: number, size: number): number {
  let sum = 0;
  for (let other = 0; other < size; other++) {
    sum = (sum + Math.imul(sendCounts[other]!, weightOf(rank, other)) - Math.imul(receiveCounts[other]!, weightOf(other, rank))) | 0;
  }
  return sum;
}

function weightOf(from: number, to: number): number {
  const mixed = Math.imul(Math.imul(from + 1, 0x9e3779b1) ^ (to + 1), 0x85ebca6b);
  return (mixed ^ (mixed >>> 15)) | 1;
}
