// Applies BPE merges to one pre-token: always the lowest-ranked pair, leftmost first, O(n log n) so that a long run
// without spaces does not stall. Not a cache and not a trainer.

/** Ids must stay below this for a pair to fit one exact number. */
export const MAXIMUM_VOCABULARY = 2 ** 20;

/** One number for an ordered pair of ids. */
export const pairKey = (left: number, right: number): number => left * MAXIMUM_VOCABULARY + right;

const POSITIONS = 2 ** 30; // heap entries are rank · POSITIONS + position: exact below 2^53

/**
 * A function that merges `symbols` (ids of single bytes) in place of their merged ids and returns them.
 * `merges` holds (left, right, merged) triples in rank order.
 */
export function createPairMerger(merges: Int32Array): (symbols: number[]) => number[] {
  const ranks = new Map<number, number>();
  for (let rank = 0; rank * 3 < merges.length; rank++) {
    const key = pairKey(merges[rank * 3], merges[rank * 3 + 1]);
    if (!ranks.has(key)) ranks.set(key, rank);
  }

  return (symbols) => {
    const count = symbols.length;
    if (count < 2) return symbols;
    const next = Int32Array.from({ length: count }, (_, i) => i + 1);
    const previous = Int32Array.from({ length: count }, (_, i) => i - 1);
    const heap: number[] = [];
    const offer = (position: number) => {
      const right = next[position];
      if (right >= count) return;
      const rank = ranks.get(pairKey(symbols[position], symbols[right]));
      if (rank !== undefined) pushSmallest(heap, rank * POSITIONS + position);
    };
    for (let position = 0; position < count - 1; position++) offer(position);
    while (heap.length > 0) {
      const entry = popSmallest(heap);
      const position = entry % POSITIONS;
      const rank = (entry - position) / POSITIONS;
      const right = next[position];
      // Stale when either side was merged since: the pair at this position is then another one, or none.
      if (symbols[position] !== merges[rank * 3] || right >= count || symbols[right] !== merges[rank * 3 + 1]) continue;
      symbols[position] = merges[rank * 3 + 2];
      symbols[right] = -1;
      next[position] = next[right];
      if (next[right] < count) previous[next[right]] = position;
      if (previous[position] >= 0) offer(previous[position]);
      offer(position);
    }
    return symbols.filter((symbol) => symbol >= 0);
  };
}

function pushSmallest(heap: number[], entry: number): void {
  let index = heap.length;
  heap.push(entry);
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (heap[parent] <= entry) break;
    heap[index] = heap[parent];
    index = parent;
  }
  heap[index] = entry;
}

function popSmallest(heap: number[]): number {
  const smallest = heap[0];
  const last = heap.pop()!;
  const count = heap.length;
  if (count === 0) return smallest;
  let index = 0;
  for (let child = 1; child < count; child = 2 * index + 1) {
    if (child + 1 < count && heap[child + 1] < heap[child]) child++;
    if (heap[child] >= last) break;
    heap[index] = heap[child];
    index = child;
  }
  heap[index] = last;
  return smallest;
}
