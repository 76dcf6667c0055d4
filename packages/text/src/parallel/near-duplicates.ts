// Finds whether a text is equal to one of a set, or nearly: Jaccard similarity of character n-grams, exact and without
// comparing every two. Prefix filtering (Chaudhuri, Ganti and Kaushik, ICDE 2006) with several shared members required
// (Wang, Li and Feng, SIGMOD 2012): two sets that are similar enough share a few of their rarest members.
import { createCountTable } from '../data/count-table.js';
import { hashText53, matchKey } from './normalise-text.js';

export type Match = 'equal' | 'near';

export interface NearDuplicateIndex {
  readonly size: number;
  add(text: string): void;
  /** Whether a text was added whose match key is the same, or whose n-grams overlap as much as the threshold. */
  find(text: string): Match | undefined;
}

/** Rare members that similar sets must share: more of them, fewer comparisons of whole sets. */
const SHARED = 8;
const NGRAM = 4;
/** For keys that are mostly of dense scripts, where a word has one or two characters. */
const DENSE_NGRAM = 2;
const DENSE = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/gu;

/**
 * An empty index. `expected` are the texts that will be added, or a sample: their n-grams' frequencies decide which are
 * looked up first. It changes the speed and not the result.
 */
export function createNearDuplicateIndex(threshold: number, expected: Iterable<string> = []): NearDuplicateIndex {
  const frequency = createCountTable();
  for (const text of expected) for (const gram of ngrams(matchKey(text))) frequency.increment(gram);
  const sets = createSimilarSets(threshold, (gram) => frequency.get(gram));
  const equal = new Set<number>();
  return {
    get size() {
      return equal.size;
    },
    add(text) {
      const key = matchKey(text);
      const hash = hashText53(key);
      if (equal.has(hash)) return;
      equal.add(hash);
      if (threshold < 1) sets.add(ngrams(key));
    },
    find(text) {
      const key = matchKey(text);
      if (equal.has(hashText53(key))) return 'equal';
      return threshold < 1 && sets.hasSimilar(ngrams(key)) ? 'near' : undefined;
    },
  };
}

/** Ascending sets of integers, found by similarity. */
function createSimilarSets(threshold: number, frequencyOf: (gram: number) => number) {
  const sets: Int32Array[] = [];
  const places = new Map<number, number[]>(); // n-gram → sets that have it among their rarest
  let shared = new Uint8Array(0); // per set: rare members in common with the set in question

  return {
    add(set: Int32Array): void {
      for (const gram of rarest(set, threshold, frequencyOf)) {
        const list = places.get(gram);
        if (list === undefined) places.set(gram, [sets.length]);
        else list.push(sets.length);
      }
      sets.push(set);
    },
    hasSimilar(set: Int32Array): boolean {
      if (shared.length < sets.length) shared = new Uint8Array(sets.length * 2);
      const met: number[] = [];
      const own = overlap(set, threshold);
      let found = false;
      for (const gram of rarest(set, threshold, frequencyOf)) {
        const list = places.get(gram);
        if (list === undefined) continue;
        for (let i = 0; i < list.length; i++) {
          const other = list[i];
          const count = ++shared[other];
          if (count === 1) met.push(other);
          // Small sets are indexed whole, and share fewer than SHARED members.
          const required = own >= SHARED ? SHARED : Math.min(SHARED, Math.max(own, overlap(sets[other], threshold)));
          if (count === required && similar(set, sets[other], threshold)) found = true;
        }
        if (found) break;
      }
      for (let i = 0; i < met.length; i++) shared[met[i]] = 0;
      return found;
    },
  };
}

/** Members that a similar set has in common at least. */
const overlap = (set: Int32Array, threshold: number): number => Math.ceil(threshold * set.length - 1e-9);

/** The members of which a similar set has SHARED in its own rarest: all but the most frequent overlap − SHARED. */
function rarest(set: Int32Array, threshold: number, frequencyOf: (gram: number) => number): Int32Array {
  const members = new Int32Array(Math.min(set.length, set.length - overlap(set, threshold) + SHARED));
  const ranked = new Float64Array(set.length); // frequency · 2³¹ + n-gram
  let [found, known] = [0, 0];
  for (let i = 0; i < set.length && found < members.length; i++) {
    const count = frequencyOf(set[i]);
    if (count === 0) members[found++] = set[i]; // most texts are unlike all others and end here
    else ranked[known++] = count * 2 ** 31 + set[i];
  }
  if (found === members.length) return members;
  ranked.subarray(0, known).sort();
  for (let i = 0; found < members.length; i++) members[found++] = ranked[i] % 2 ** 31;
  return members;
}

/** Whether the Jaccard similarity of two ascending sets reaches `threshold`. */
function similar(a: Int32Array, b: Int32Array, threshold: number): boolean {
  // |a ∩ b| ≥ threshold · |a ∪ b|, solved for the intersection
  const needed = Math.ceil((threshold / (1 + threshold)) * (a.length + b.length) - 1e-9);
  let [spareA, spareB] = [a.length - needed, b.length - needed]; // members that may still lack a partner
  for (let i = 0, j = 0; spareA >= 0 && spareB >= 0 && i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      i++;
      j++;
    } else if (a[i] < b[j]) {
      i++;
      spareA--;
    } else {
      j++;
      spareB--;
    }
  }
  return spareA >= 0 && spareB >= 0;
}

/** Hashes of the n-grams of a key, ascending, each once. A key shorter than n is one n-gram. */
function ngrams(key: string): Int32Array {
  const size = (key.match(DENSE)?.length ?? 0) * 2 > key.length ? DENSE_NGRAM : NGRAM;
  const count = Math.max(1, key.length - size + 1);
  const all = new Int32Array(count);
  for (let start = 0; start < count; start++) {
    let hash = size;
    for (let i = start; i < Math.min(start + size, key.length); i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x9e3779b1) ^ (hash >>> 15);
    all[start] = (hash ^ (hash >>> 13)) & 0x7fffffff;
  }
  all.sort();
  let unique = 0;
  for (let i = 0; i < count; i++) if (i === 0 || all[i] !== all[i - 1]) all[unique++] = all[i];
  return all.slice(0, unique);
}
