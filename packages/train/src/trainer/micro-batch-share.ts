// Which rank computes which micro-batch of an update, and when. Groups of ranks that hold all experts together have consecutive ones; in a group
// they go round: in each round every rank has one.
import { shareOf, type Comm, type RankGroups, type Span } from '@xmoe/distributed';
import type { Reduction } from './reduction.js';

export interface Round {
  /** The micro-batches of the group in this round: of rank r the r-th, where there are so many. */
  readonly terms: Span;
  /** That of this rank; null where it has none. */
  readonly own: number | null;
}

type Place = Pick<Comm, 'rank' | 'size'>;

/** Those of the group: of all groups `data` says which this is. */
export function spanOfGroup({ rank, size }: Place, count: number, reduction: Reduction): Span {
  if (reduction !== 'fast') return shareOf(count, size, rank);
  return { begin: Math.floor((rank * count) / size), end: Math.floor(((rank + 1) * count) / size) };
}

export function roundsOf({ experts, data }: Readonly<Record<'experts' | 'data', Place>>, count: number, reduction: Reduction): Round[] {
  const { begin, end } = spanOfGroup(data, count, reduction);
  return Array.from({ length: Math.ceil((end - begin) / experts.size) }, (_, round) => {
    const first = begin + round * experts.size;
    const own = first + experts.rank;
    return { terms: { begin: first, end: Math.min(end, first + experts.size) }, own: own < end ? own : null };
  });
}

/** The micro-batches of all ranks, one rank after another. */
export function orderOfRanks({ experts, data }: RankGroups, count: number, reduction: Reduction): number[] {
  return Array.from({ length: experts.size * data.size }, (_, rank) => {
    const place = { data: { rank: Math.floor(rank / experts.size), size: data.size }, experts: { rank: rank % experts.size, size: experts.size } };
    return roundsOf(place, count, reduction).flatMap(({ own }) => own ?? []);
  }).flat();
}

/** Of so many ranks the one with the most has so many of `count`. */
export const mostMicroBatches = ({ experts, data }: RankGroups, count: number): number => Math.ceil(Math.ceil(count / data.size) / experts.size);
