// The books of BPE training: every distinct pre-token as ids, how often each adjacent pair occurs, and where. A merge
// touches only the words that hold its pair. Not the training loop.
import { alphabetOrder } from './byte-alphabet.js';
import { joinBytes } from './join-bytes.js';
import { pairKey, MAXIMUM_VOCABULARY } from './pair-merger.js';

interface Candidate {
  count: number;
  left: number;
  right: number;
}

export interface PairCounts {
  /** Removes and returns the most frequent pair, or undefined when none occurs `minimum` times. */
  takeMostFrequent(minimum: number): { left: number; right: number } | undefined;
  /** Replaces each (left, right) by `merged` in all words, leftmost first, and updates the counts. */
  merge(left: number, right: number, merged: number): void;
}

/** Books over `words` (text → occurrences), all split into bytes. */
export function createPairCounts(words: ReadonlyMap<string, number>): PairCounts {
  const layout = layOut(words);
  const counts = new Map<number, number>();
  const places = new Map<number, number[]>(); // words that held the pair once; may be out of date
  const changed = new Set<number>();

  const add: AddPair = (left, right, amount, word) => {
    const key = pairKey(left, right);
    counts.set(key, (counts.get(key) ?? 0) + amount);
    if (amount < 0) return;
    changed.add(key);
    const list = places.get(key);
    if (list === undefined) places.set(key, [word]);
    else if (list[list.length - 1] !== word) list.push(word);
  };
  addAllPairs(layout, add);
  const heap: Candidate[] = [];
  const offerChanged = () => {
    for (const key of changed) {
      const right = key % MAXIMUM_VOCABULARY;
      const count = counts.get(key)!;
      if (count > 0) pushBest(heap, { count, left: (key - right) / MAXIMUM_VOCABULARY, right });
    }
    changed.clear();
  };
  offerChanged();

  return {
    takeMostFrequent(minimum) {
      for (let best = popBest(heap); best !== undefined; best = popBest(heap)) {
        const count = counts.get(pairKey(best.left, best.right)) ?? 0;
        if (count === best.count) return count >= minimum ? best : undefined;
        // Counts of pairs already in the heap only fall: put it back where it belongs now.
        if (count > 0) pushBest(heap, { ...best, count });
      }
      return undefined;
    },
    merge(left, right, merged) {
      const key = pairKey(left, right);
      for (const word of places.get(key) ?? []) mergeInWord(layout, word, left, right, merged, add);
      places.delete(key);
      counts.delete(key);
      offerChanged();
    },
  };
}

type AddPair = (left: number, right: number, amount: number, word: number) => void;

function addAllPairs({ symbols, starts, lengths, weights }: Layout, add: AddPair): void {
  for (let word = 0; word < lengths.length; word++) {
    const end = starts[word] + lengths[word] - 1;
    for (let i = starts[word]; i < end; i++) add(symbols[i], symbols[i + 1], weights[word], word);
  }
}

/** Merges inside one word and keeps the counts of its pairs. */
function mergeInWord(
  { symbols, starts, lengths, weights }: Layout,
  word: number,
  left: number,
  right: number,
  merged: number,
  add: AddPair,
): void {
  const start = starts[word];
  const end = start + lengths[word];
  const weight = weights[word];
  let write = start;
  for (let read = start; read < end; read++) {
    if (symbols[read] !== left || read + 1 >= end || symbols[read + 1] !== right) {
      symbols[write++] = symbols[read];
      continue;
    }
    if (write > start) {
      add(symbols[write - 1], left, -weight, word);
      add(symbols[write - 1], merged, weight, word);
    }
    if (read + 2 < end) {
      add(right, symbols[read + 2], -weight, word);
      add(merged, symbols[read + 2], weight, word);
    }
    symbols[write++] = merged;
    read++;
  }
  lengths[word] = write - start;
}

/** All words one after the other: `symbols` from `starts[word]` on, `lengths[word]` of them. */
interface Layout {
  readonly symbols: Int32Array;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  /** How often the word occurs. */
  readonly weights: Float64Array;
}

function layOut(words: ReadonlyMap<string, number>): Layout {
  const idOfByte = new Int32Array(256);
  alphabetOrder.forEach((byte, id) => (idOfByte[byte] = id));
  // Sorted, so that nothing downstream can depend on the order of the texts.
  const entries = [...words].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  const utf8 = new TextEncoder();
  const encoded = entries.map(([word]) => utf8.encode(word));
  const lengths = Int32Array.from(encoded, (bytes) => bytes.length);
  const starts = new Int32Array(lengths.length);
  for (let word = 1; word < starts.length; word++) starts[word] = starts[word - 1] + lengths[word - 1];
  const symbols = Int32Array.from(joinBytes(encoded), (byte) => idOfByte[byte]);
  return { symbols, starts, lengths, weights: Float64Array.from(entries, ([, count]) => count) };
}

/** Whether `a` is merged before `b`: more frequent, then lower ids. */
function precedes(a: Candidate, b: Candidate): boolean {
  if (a.count !== b.count) return a.count > b.count;
  return a.left !== b.left ? a.left < b.left : a.right < b.right;
}

function pushBest(heap: Candidate[], entry: Candidate): void {
  let index = heap.length;
  heap.push(entry);
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (!precedes(entry, heap[parent])) break;
    heap[index] = heap[parent];
    index = parent;
  }
  heap[index] = entry;
}

function popBest(heap: Candidate[]): Candidate | undefined {
  const best = heap[0];
  const last = heap.pop();
  const count = heap.length;
  if (last === undefined || count === 0) return best;
  let index = 0;
  for (let child = 1; child < count; child = 2 * index + 1) {
    if (child + 1 < count && precedes(heap[child + 1], heap[child])) child++;
    if (!precedes(heap[child], last)) break;
    heap[index] = heap[child];
    index = child;
  }
  heap[index] = last;
  return best;
}
