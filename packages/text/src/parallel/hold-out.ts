// Chooses the pairs that are held out for validation and test: by hash, a share of every kind, none nearly the same as
// another. It holds a bounded number of pairs, whatever the size of the corpus.
import { XMoEError } from '@xmoe/core';
import { createNearDuplicateIndex, type Match, type NearDuplicateIndex } from './near-duplicates.js';
import { hashText53 } from './normalise-text.js';
import type { TextPair } from './pairs.js';

/** Tells whether training may see a pair: indices over both sides of all that it must not see. */
export interface LeakDetector {
  add(pair: TextPair): void;
  /** Set when the source or the target is equal or nearly equal to that of a pair that was added. */
  find(pair: TextPair): Match | undefined;
}

/** A detector; `expected` are the pairs that will be added (for speed). */
export function createLeakDetector(threshold: number, expected: readonly TextPair[]): LeakDetector {
  const sources: NearDuplicateIndex = createNearDuplicateIndex(threshold, expected.map(({ source }) => source));
  const targets: NearDuplicateIndex = createNearDuplicateIndex(threshold, expected.map(({ target }) => target));
  return {
    add({ source, target }) {
      sources.add(source);
      targets.add(target);
    },
    find: ({ source, target }) => sources.find(source) ?? targets.find(target),
  };
}

export interface HoldOutCounts {
  readonly validation: number;
  readonly test: number;
}

export interface HoldOut {
  /** Considers a pair. */
  offer(pair: TextPair): void;
  /** Pairs considered, by kind. */
  readonly offered: ReadonlyMap<string, number>;
  /** All that may be chosen, for `createLeakDetector`. */
  candidates(): TextPair[];
  /** The chosen pairs, which are added to `leaks`. Pairs like one in `leaks` are not chosen. Throws when there are too few. */
  choose(leaks: LeakDetector): { validation: TextPair[]; test: TextPair[] };
}

interface Candidate {
  readonly rank: number;
  readonly pair: TextPair;
}

/** Candidates kept per pair wanted: some are dropped as near-duplicates of others. */
const RESERVE = 3;

/**
 * Pairs are ranked by the hash of their texts and `salt`, so that the choice does not depend on their order, and little
 * on which other pairs there are. Each kind gives its share of the pairs.
 */
export function createHoldOut({ validation, test }: HoldOutCounts, salt: string): HoldOut {
  const wanted = validation + test;
  const keep = wanted * RESERVE;
  const saltHash = hashText53(salt) | 0;
  const offered = new Map<string, number>();
  const byKind = new Map<string, Candidate[]>(); // the lowest ranks, the largest at the top of a heap

  return {
    offered,
    offer(pair) {
      const kind = pair.kind ?? '';
      offered.set(kind, (offered.get(kind) ?? 0) + 1);
      if (wanted === 0) return;
      let heap = byKind.get(kind);
      if (heap === undefined) byKind.set(kind, (heap = []));
      const rank = hashText53(`${pair.source}\0${pair.target}`, saltHash);
      if (heap.length < keep) pushLargest(heap, { rank, pair });
      else if (precedes({ rank, pair }, heap[0])) replaceLargest(heap, { rank, pair });
    },
    candidates: () => [...byKind.values()].flatMap((heap) => heap.map(({ pair }) => pair)),
    choose(leaks) {
      const chosen = { validation: [] as TextPair[], test: [] as TextPair[] };
      const shares = shareOut(wanted, offered);
      let [taken, due] = [0, 0];
      for (const kind of [...byKind.keys()].sort()) {
        due += shares.get(kind)!; // what an earlier kind could not give, a later one may
        const ranked = [...byKind.get(kind)!].sort((a, b) => (precedes(a, b) ? -1 : 1));
        for (const { pair } of ranked) {
          if (taken === due) break;
          if (leaks.find(pair) !== undefined) continue;
          leaks.add(pair);
          taken++;
          // Interleaved, so that both sets have every kind in the same proportion.
          const toTest = chosen.test.length * wanted < test * taken;
          (toTest ? chosen.test : chosen.validation).push(pair);
        }
      }
      if (taken < wanted) tooFew(wanted, taken, [...offered.values()].reduce((sum, count) => sum + count, 0));
      return chosen;
    },
  };
}

/** Integer shares of `total` in proportion to the counts (largest remainders). */
function shareOut(total: number, counts: ReadonlyMap<string, number>): Map<string, number> {
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const exact = [...counts].map(([name, count]) => ({ name, share: (total * count) / Math.max(1, all) }));
  const shares = new Map(exact.map(({ name, share }) => [name, Math.floor(share)]));
  let left = total - [...shares.values()].reduce((sum, share) => sum + share, 0);
  exact.sort((a, b) => (b.share % 1) - (a.share % 1) || (a.name < b.name ? -1 : 1));
  for (const { name } of exact) if (left-- > 0) shares.set(name, shares.get(name)! + 1);
  return shares;
}

function tooFew(wanted: number, found: number, offered: number): never {
  throw new XMoEError('data', `${wanted} pairs are to be held out, and only ${found} of ${offered} differ enough from each other`, {
    op: 'prepareParallel',
    hint: 'hold out fewer pairs (validationPairs, testPairs), or give validation and test files',
  });
}

function precedes(a: Candidate, b: Candidate): boolean {
  if (a.rank !== b.rank) return a.rank < b.rank;
  if (a.pair.source !== b.pair.source) return a.pair.source < b.pair.source;
  return a.pair.target < b.pair.target;
}

function pushLargest(heap: Candidate[], entry: Candidate): void {
  let at = heap.push(entry) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!precedes(heap[parent], entry)) break;
    heap[at] = heap[parent];
    at = parent;
  }
  heap[at] = entry;
}

function replaceLargest(heap: Candidate[], entry: Candidate): void {
  let at = 0;
  for (let child = 1; child < heap.length; child = 2 * at + 1) {
    if (child + 1 < heap.length && precedes(heap[child], heap[child + 1])) child++;
    if (!precedes(entry, heap[child])) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = entry;
}
