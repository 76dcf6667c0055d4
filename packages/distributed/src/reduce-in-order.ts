// Sums that have the same bits for every number of ranks: a fixed tree over numbered terms, of which each rank holds its share. What the terms
// are is the caller's to say.
import { XMoEError } from '@xmoe/core';
import type { Comm } from './comm.js';

/** Terms `begin` … `end` − 1. */
export interface Span {
  readonly begin: number;
  readonly end: number;
}

/** @throws XMoEError `config` unless the tree can be cut for so many ranks */
export function checkTreeRanks(size: number): void {
  if (Number.isInteger(Math.log2(size))) return;
  throw new XMoEError('config', `sums in a fixed order are over 1, 2, 4, 8, … ranks, not ${size}`, {
    op: 'reduction', hint: 'start another number of ranks, or train with --set train.reduction=fast, whose bits depend on their number',
  });
}

const middleOf = ({ begin, end }: Span): number => begin + Math.ceil((end - begin) / 2);

/** The terms of each rank: the nodes of the tree at one depth, alike in number to one. Some may be empty. */
export function shareOf(terms: number, size: number, rank: number): Span {
  checkTreeRanks(size);
  let span: Span = { begin: 0, end: terms };
  for (let half = size / 2; half >= 1; half /= 2) {
    const middle = middleOf(span);
    span = (Math.floor(rank / half) & 1) === 0 ? { begin: span.begin, end: middle } : { begin: middle, end: span.end };
  }
  return span;
}

/** `into` += `values`, each rounded to float32. Returns `into`. */
export function addTo(into: Float32Array, values: Float32Array): Float32Array {
  for (let index = 0; index < into.length; index++) into[index] += values[index];
  return into;
}

/** A sum of terms that come one after another. */
export interface RunningSum<Term = Float32Array> {
  /** The next one, which becomes the sum's. */
  add(term: Term): void;
  /** Of all that came; null for none. */
  result(): Term | null;
  /** Sums that wait for others. */
  readonly held: readonly Term[];
}

/** The terms of `span`, in order, by halves: (first half) + (second half), each summed likewise by `addUp`, which takes both over. Holds at most log2 of their number + 1. */
export function createSumByHalves<Term>(span: Span, addUp: (left: Term, right: Term) => Term): RunningSum<Term> {
  const held: Term[] = [];
  const closed = closedHalves(span);
  let next = 0;
  return {
    add(term) {
      held.push(term);
      for (let count = closed[next++]!; count > 0; count--) {
        const right = held.pop()!;
        held.push(addUp(held.pop()!, right));
      }
    },
    result: () => held[0] ?? null,
    held,
  };
}

/** How many pairs of halves each term completes. */
function closedHalves(span: Span): number[] {
  if (span.end <= span.begin) return [];
  if (span.end - span.begin === 1) return [0];
  const middle = middleOf(span);
  const all = [...closedHalves({ begin: span.begin, end: middle }), ...closedHalves({ begin: middle, end: span.end })];
  all[all.length - 1]!++;
  return all;
}

/** `createSumByHalves` of what `make` returns for each term, in order. Null for no terms. */
export async function sumByHalves(span: Span, make: (term: number) => Promise<Float32Array>): Promise<Float32Array | null> {
  const sum = createSumByHalves(span, addTo);
  for (let term = span.begin; term < span.end; term++) sum.add(await make(term));
  return sum.result();
}

/** Numbers that are exchanged at once. */
export const BUCKET = 2 ** 22;

/** Which ranks have terms at all. */
function holdersOf(comm: Comm, terms: number): boolean[] {
  checkTreeRanks(comm.size);
  return Array.from({ length: comm.size }, (_, rank) => {
    const { begin, end } = shareOf(terms, comm.size, rank);
    return end > begin;
  });
}

/**
 * Replaces `values` on all ranks by the sum over all terms. Before, they hold the sum by halves of this rank's `shareOf` terms; they are not
 * read where that is empty. Each rank adds one part of the numbers, in the order of the tree, and all get all parts: as many bytes as a
 * reduction by MPI sends, and the same bits for 1, 2, 4, 8, … ranks and for every MPI.
 */
export async function reduceInOrder(comm: Comm, values: Float32Array, terms: number, bucket = BUCKET): Promise<void> {
  const isHeld = holdersOf(comm, terms);
  if (comm.size === 1) return;
  if (!isHeld[comm.rank]) values.fill(0);
  for (let from = 0; from < values.length; from += bucket) await reduceBucket(comm, values.subarray(from, from + bucket), isHeld);
}

async function reduceBucket(comm: Comm, values: Float32Array, isHeld: readonly boolean[]): Promise<void> {
  const { size } = comm;
  const partLength = Math.ceil(values.length / size);
  const sum = await sumOfPart(comm, values, Int32Array.from({ length: size }, (_, part) => Math.max(0, Math.min(partLength, values.length - part * partLength))), isHeld);
  if (sum !== null && partLength * size === values.length) return comm.allGather(sum, values);
  // Parts of one length for all.
  const padded = new Float32Array(partLength);
  padded.set(sum ?? []);
  const all = new Float32Array(partLength * size);
  await comm.allGather(padded, all);
  values.set(all.subarray(0, values.length));
}

/** Of numbers whose parts are `counts` long, the sum of this rank's part; null where no rank has terms. */
async function sumOfPart(comm: Comm, values: Float32Array, counts: Int32Array, isHeld: readonly boolean[]): Promise<Float32Array | null> {
  const own = counts[comm.rank]!;
  const received = new Float32Array(own * comm.size);
  await comm.allToAllV(values, counts, received, new Int32Array(comm.size).fill(own));
  return sumParts(isHeld.map((held, from) => (held ? received.subarray(from * own, (from + 1) * own) : null)));
}

/**
 * The sum over all terms of part `comm.rank` of `values`, of which `lengths[r]` are that of rank r, one part behind the other: the first half of
 * `reduceInOrder`, with its bits and half of its bytes. `values` are not read where this rank has no terms, and may be what is returned.
 */
export async function reducePartInOrder(comm: Comm, values: Float32Array, lengths: readonly number[], terms: number, bucket = BUCKET): Promise<Float32Array> {
  const isHeld = holdersOf(comm, terms);
  if (comm.size === 1) return values;
  if (!isHeld[comm.rank]) values.fill(0);
  return partByBuckets(comm, values, lengths, bucket, (sent, counts) => sumOfPart(comm, sent, counts, isHeld));
}

/** The same by MPI's own reduction, whose bits depend on the number of ranks. */
export async function reducePart(comm: Comm, values: Float32Array, lengths: readonly number[], bucket = BUCKET): Promise<Float32Array> {
  const { rank, size } = comm;
  if (size === 1) return values;
  return partByBuckets(comm, values, lengths, bucket, async (sent, counts) => {
    const longest = Math.max(...counts);
    const padded = new Float32Array(longest * size);
    for (const [part, begin] of beginsOf(counts).entries()) padded.set(sent.subarray(begin, begin + counts[part]!), part * longest);
    const sum = new Float32Array(longest);
    await comm.reduceScatter(padded, sum, 'sum');
    return sum.subarray(0, counts[rank]);
  });
}

function beginsOf(lengths: ArrayLike<number>): number[] {
  let at = 0;
  return Array.from(lengths, (length) => (at += length) - length);
}

/** `sum` of pieces of all parts, about `bucket` numbers at once. */
async function partByBuckets(
  { rank, size }: Comm, values: Float32Array, lengths: readonly number[], bucket: number, sum: (sent: Float32Array, counts: Int32Array) => Promise<Float32Array | null>,
): Promise<Float32Array> {
  const [longest, step] = [Math.max(...lengths), Math.ceil(bucket / size)];
  const own = new Float32Array(lengths[rank]!);
  const begins = beginsOf(lengths);
  for (let from = 0; from < longest; from += step) {
    const counts = Int32Array.from(lengths, (length) => Math.max(0, Math.min(step, length - from)));
    const pieces = begins.map((begin, part) => values.subarray(begin + from, begin + from + counts[part]!));
    own.set((await sum(longest <= step ? values : joined(pieces), counts)) ?? [], Math.min(from, own.length));
  }
  return own;
}

function joined(pieces: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

/** The sum of a power of two of parts, neighbours first, as the halves of the tree lie; null stands for a rank without terms. Parts are overwritten. */
export function sumParts(parts: readonly (Float32Array | null)[]): Float32Array | null {
  if (parts.length === 1) return parts[0];
  const half = parts.length / 2;
  const [left, right] = [sumParts(parts.slice(0, half)), sumParts(parts.slice(half))];
  if (left === null || right === null) return left ?? right;
  addTo(left, right);
  return left;
}
