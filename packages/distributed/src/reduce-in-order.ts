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

/** `into` += `values`, each rounded to float32. */
export function addTo(into: Float32Array, values: Float32Array): void {
  for (let index = 0; index < into.length; index++) into[index] += values[index];
}

/**
 * Sums the terms of `span` by halves: (first half) + (second half), each summed likewise. `make` is called once for each, in order, and what it
 * returns becomes the caller's. Null for no terms. At most log2 of their number + 1 are held at once.
 */
export async function sumByHalves(span: Span, make: (term: number) => Promise<Float32Array>): Promise<Float32Array | null> {
  if (span.end <= span.begin) return null;
  if (span.end - span.begin === 1) return make(span.begin);
  const middle = middleOf(span);
  const left = await sumByHalves({ begin: span.begin, end: middle }, make);
  const right = await sumByHalves({ begin: middle, end: span.end }, make);
  addTo(left!, right!);
  return left;
}

/** Numbers that are exchanged at once. */
const BUCKET = 2 ** 22;

/**
 * Replaces `values` on all ranks by the sum over all terms. Before, they hold the sum by halves of this rank's `shareOf` terms; they are not
 * read where that is empty. Each rank adds one part of the numbers, in the order of the tree, and all get all parts: as many bytes as a
 * reduction by MPI sends, and the same bits for 1, 2, 4, 8, … ranks and for every MPI.
 */
export async function reduceInOrder(comm: Comm, values: Float32Array, terms: number, bucket = BUCKET): Promise<void> {
  checkTreeRanks(comm.size);
  if (comm.size === 1) return;
  const isHeld = Array.from({ length: comm.size }, (_, rank) => {
    const { begin, end } = shareOf(terms, comm.size, rank);
    return end > begin;
  });
  if (!isHeld[comm.rank]) values.fill(0);
  for (let from = 0; from < values.length; from += bucket) await reduceBucket(comm, values.subarray(from, from + bucket), isHeld);
}

async function reduceBucket(comm: Comm, values: Float32Array, isHeld: readonly boolean[]): Promise<void> {
  const { rank, size } = comm;
  const partLength = Math.ceil(values.length / size);
  const counts = Int32Array.from({ length: size }, (_, part) => Math.max(0, Math.min(partLength, values.length - part * partLength)));
  const own = counts[rank];
  const received = new Float32Array(own * size);
  await comm.allToAllV(values, counts, received, new Int32Array(size).fill(own));
  const parts = isHeld.map((held, from) => (held ? received.subarray(from * own, (from + 1) * own) : null));
  const sum = new Float32Array(partLength);
  sum.set(sumParts(parts) ?? []);
  const all = new Float32Array(partLength * size);
  await comm.allGather(sum, all);
  values.set(all.subarray(0, values.length));
}

/** Neighbours first, as the halves of the tree lie: a power of two of them. */
function sumParts(parts: readonly (Float32Array | null)[]): Float32Array | null {
  if (parts.length === 1) return parts[0];
  const half = parts.length / 2;
  const [left, right] = [sumParts(parts.slice(0, half)), sumParts(parts.slice(half))];
  if (left === null || right === null) return left ?? right;
  addTo(left, right);
  return left;
}
