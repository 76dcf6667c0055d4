// IBM model 1 (Brown et al., Computational Linguistics 1993): how likely each target word translates each source word,
// learned from pairs by expectation maximisation. No word order, no text: words are numbers here.

export interface NumberedPair {
  readonly source: Int32Array;
  readonly target: Int32Array;
}

export interface LexicalModel {
  /** The most likely translation of a source word, or −1 for a word that was not seen. */
  best(source: number): number;
}

/** The source word that every target word may come from when no other fits. */
export const NULL_WORD = 0;
const KEY_BASE = 2 ** 26; // more words than any vocabulary here: a pair of words is one exact number

/** The model after `iterations` rounds over `pairs`; source words are numbered from 1. Ties go to the lower target word. */
export function trainLexicalModel(pairs: readonly NumberedPair[], sourceWords: number, iterations: number): LexicalModel {
  const slots = new Map<number, number>(); // source · KEY_BASE + target → position in the tables
  const links = pairs.map(({ source, target }) => {
    const withNull = Int32Array.from([NULL_WORD, ...source]);
    const positions = new Int32Array(target.length * withNull.length);
    let at = 0;
    for (const to of target) for (const from of withNull) positions[at++] = slotOf(slots, from * KEY_BASE + to);
    return { sources: withNull, positions };
  });
  const sourceOf = new Int32Array(slots.size);
  const targetOf = new Int32Array(slots.size);
  for (const [key, slot] of slots) {
    targetOf[slot] = key % KEY_BASE;
    sourceOf[slot] = (key - targetOf[slot]) / KEY_BASE;
  }
  let probability = new Float64Array(slots.size).fill(1); // the first round normalises
  for (let round = 0; round < iterations; round++) {
    const expected = new Float64Array(slots.size);
    for (const { sources, positions } of links) {
      for (let start = 0; start < positions.length; start += sources.length) {
        let sum = 0;
        for (let i = 0; i < sources.length; i++) sum += probability[positions[start + i]];
        for (let i = 0; i < sources.length; i++) expected[positions[start + i]] += probability[positions[start + i]] / sum;
      }
    }
    const total = new Float64Array(sourceWords + 1);
    expected.forEach((count, slot) => (total[sourceOf[slot]] += count));
    probability = expected.map((count, slot) => count / total[sourceOf[slot]]);
  }
  const best = new Int32Array(sourceWords + 1).fill(-1);
  const height = new Float64Array(sourceWords + 1);
  for (let slot = 0; slot < probability.length; slot++) {
    const [from, to] = [sourceOf[slot], targetOf[slot]];
    if (probability[slot] < height[from] || (probability[slot] === height[from] && to > best[from])) continue;
    height[from] = probability[slot];
    best[from] = to;
  }
  return { best: (source) => (source > 0 && source <= sourceWords ? best[source] : -1) };
}

function slotOf(slots: Map<number, number>, key: number): number {
  let slot = slots.get(key);
  if (slot === undefined) slots.set(key, (slot = slots.size));
  return slot;
}
