// The bigram model that a language model must beat: interpolated modified Kneser–Ney (Chen and Goodman, 1998), in its
// bigram form. Counts in, probabilities out.
import { createCountTable } from './count-table.js';
import type { TokenSplit } from './token-split.js';

export interface NgramCounts {
  readonly vocabularySize: number;
  /** Occurrences of each token, and their sum. */
  readonly tokens: Float64Array;
  readonly total: number;
  /** Occurrences of `previous · vocabularySize + next`. */
  readonly pairs: ReturnType<typeof createCountTable>;
}

const CHUNK = 1 << 16;

/** Visits tokens 0 … count − 1 of a split in order. Throws on an id outside the vocabulary through `visit`. */
export function forEachToken(split: TokenSplit, count: number, visit: (token: number, position: number) => void): void {
  const chunk = new Int32Array(CHUNK);
  for (let start = 0; start < count; start += CHUNK) {
    const amount = Math.min(CHUNK, count - start);
    split.read(start, amount, chunk);
    for (let i = 0; i < amount; i++) visit(chunk[i], start + i);
  }
}

/** Token and pair counts of the first `count` tokens of a split. */
export function countNgrams(split: TokenSplit, count: number, vocabularySize: number): NgramCounts {
  const tokens = new Float64Array(vocabularySize);
  const pairs = createCountTable();
  let previous = -1;
  forEachToken(split, count, (token) => {
    tokens[token]++;
    if (previous >= 0) pairs.increment(previous * vocabularySize + token);
    previous = token;
  });
  return { vocabularySize, tokens, total: count, pairs };
}

/** p(next | previous), summing to 1 over the vocabulary for every `previous`, seen or not. */
export type BigramProbability = (previous: number, next: number) => number;

/** Fits interpolated modified Kneser–Ney to `counts`. */
export function fitBigramModel({ vocabularySize: V, pairs }: NgramCounts): BigramProbability {
  const contextTotal = new Float64Array(V); // c(previous ·)
  const contextMass = new Float64Array(V); // what the discounts take from a context
  const continuations = new Float64Array(V); // N1+(· next): distinct tokens before `next`
  const discountOf = createDiscounts(countsOfCounts(pairs.forEach));
  pairs.forEach((key, count) => {
    const next = key % V;
    const previous = (key - next) / V;
    contextTotal[previous] += count;
    contextMass[previous] += discountOf(count);
    continuations[next]++;
  });

  const lowerDiscountOf = createDiscounts(countsOfCounts((visit) => continuations.forEach((count, token) => visit(token, count))));
  const lowerMass = continuations.reduce((sum, count) => sum + lowerDiscountOf(count), 0);
  const lower = continuations.map((count) =>
    pairs.size === 0 ? 1 / V : (count - lowerDiscountOf(count) + lowerMass / V) / pairs.size,
  );
  return (previous, next) => {
    const total = contextTotal[previous];
    if (total === 0) return lower[next];
    const count = pairs.get(previous * V + next);
    return (count - discountOf(count) + contextMass[previous] * lower[next]) / total;
  };
}

/** n1 … n4: how many things were counted once, twice, three and four times. */
function countsOfCounts(forEach: (visit: (key: number, count: number) => void) => void): number[] {
  const n = [0, 0, 0, 0, 0];
  forEach((_, count) => {
    if (count >= 1 && count <= 4) n[count]++;
  });
  return n;
}

/**
 * Discounts D1, D2, D3+ from the counts of counts (Chen and Goodman, 1998). Where these are too few for the
 * formula, as with few distinct tokens, 0.75 throughout.
 */
function createDiscounts([, n1, n2, n3, n4]: readonly number[]): (count: number) => number {
  const y = n1 / (n1 + 2 * n2);
  const fitted = [1 - 2 * y * (n2 / n1), 2 - 3 * y * (n3 / n2), 3 - 4 * y * (n4 / n3)];
  const usable = fitted.every((discount, index) => discount > 0 && discount <= index + 1);
  const [one, two, more] = usable ? fitted : [0.75, 0.75, 0.75];
  return (count) => (count === 0 ? 0 : count === 1 ? one : count === 2 ? two : more);
}
