// Deterministic contents for operands: functions of a length and a random key. Values survive a round trip through float16
// only up to its rounding; what a backend is given is what the reference stored.
import { hostUniform, type RandomKey } from '@xmoe/core';

export type DataGenerator = (length: number, key: RandomKey) => ArrayLike<number>;

/** Uniform in [low, high). */
export function uniform(low: number, high: number): DataGenerator {
  return (length, key) => hostUniform(key, length).map((value) => low + value * (high - low));
}

/** Integers low … high, both included. Small ranges make ties. */
export function integers(low: number, high: number): DataGenerator {
  return (length, key) => Float64Array.from(hostUniform(key, length)).map((value) => low + Math.floor(value * (high - low + 1)));
}

/** Multiples of 1/64 in [−1, 1]: sums of a few thousand are exact in float32, in any order. */
export const dyadic: DataGenerator = (length, key) => Float64Array.from(integers(-64, 64)(length, key)).map((value) => value / 64);

/** Any 32 bits, unsigned. */
export const words: DataGenerator = (length, key) => {
  const halves = hostUniform(key, 2 * length);
  return Array.from({ length }, (_, i) => Math.floor(halves[2 * i] * 65536) * 65536 + Math.floor(halves[2 * i + 1] * 65536));
};

/** Any 32 bits, signed. */
export const signedWords: DataGenerator = (length, key) => Array.from(words(length, key), (word) => word | 0);

/** 1 with the given chance, else 0. */
export function coin(chance: number): DataGenerator {
  return (length, key) => hostUniform(key, length).map((value) => (value < chance ? 1 : 0));
}

/** These values, repeated to the length. */
export function cycle(...values: readonly number[]): DataGenerator {
  return (length) => new Float64Array(length).map((_, index) => values[index % values.length]);
}

/** `base` with `value` at the positions that `picks` chooses. */
export function replaced(base: DataGenerator, value: number, picks: (index: number) => boolean): DataGenerator {
  return (length, key) => Float64Array.from(base(length, key)).map((element, index) => (picks(index) ? value : element));
}

/** `offset` and up to 20 steps below it, each of the spacing of floats at 1e8 (8), so that all differences are exact. */
export function distantSteps(offset: number): DataGenerator {
  return (length, key) => Float64Array.from(integers(-20, 0)(length, key)).map((steps) => offset + 8 * steps);
}

/**
 * Rows of `columns` numbers in ±3, seven kinds in turn: plain; −∞ alone; half −∞; with a NaN; with +∞; a NaN among −∞; both
 * infinities. What stands out is never in the same place.
 */
export function unruly(columns: number): DataGenerator {
  const kinds: readonly ((value: number, isOdd: boolean, isMarked: boolean) => number)[] = [
    (value) => value,
    () => -Infinity,
    (value, isOdd) => (isOdd ? -Infinity : value),
    (value, _, isMarked) => (isMarked ? NaN : value),
    (value, _, isMarked) => (isMarked ? Infinity : value),
    (_, __, isMarked) => (isMarked ? NaN : -Infinity),
    (value, isOdd, isMarked) => (isMarked ? Infinity : isOdd ? -Infinity : value),
  ];
  return (length, key) => Float64Array.from(uniform(-3, 3)(length, key)).map((value, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    return kinds[row % kinds.length](value, column % 2 === 1, column === (7 * row) % columns);
  });
}
