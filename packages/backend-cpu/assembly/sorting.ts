// The stable argsort of 32-bit keys: a radix sort by digits of eleven bits, the lowest first. The elements are cut into chunks
// that count their digits and then move by themselves; src/engine/kernels/sorting.ts runs the passes.
import { loadTail, storeTail } from './lanes';

const DIGIT_BITS = 11;
const BUCKETS = 1 << DIGIT_BITS;

/** Unsigned words in the order of float32 keys, of their negatives if `descending`: −0 is +0, NaN is above all either way. */
@inline
function wordsOfFloats(keys: v128, descending: i32): v128 {
  const bits = f32x4.add(descending != 0 ? f32x4.neg(keys) : keys, f32x4.splat(0));
  const flips = v128.or(i32x4.shr_s(bits, 31), i32x4.splat(i32.MIN_VALUE));
  return v128.bitselect(v128.xor(bits, flips), i32x4.splat(-1), f32x4.eq(keys, keys));
}

@inline
function wordsOf(keys: v128, areFloats: i32, descending: i32): v128 {
  return areFloats != 0 ? wordsOfFloats(keys, descending) : v128.xor(keys, i32x4.splat(i32.MIN_VALUE));
}

/** The words of keys (float32, or int32 ascending) and the ids 0, 1, … of the elements. Items are elements. */
export function sortableKeys(begin: i32, end: i32, keys: usize, words: usize, ids: usize, areFloats: i32, descending: i32): void {
  const lanes = i32x4(0, 1, 2, 3);
  let at = begin;
  for (; at + 4 <= end; at += 4) {
    v128.store(words + (at << 2), wordsOf(v128.load(keys + (at << 2)), areFloats, descending));
    v128.store(ids + (at << 2), i32x4.add(i32x4.splat(at), lanes));
  }
  const left = end - at;
  if (left == 0) return;
  storeTail(words + (at << 2), left, wordsOf(loadTail(keys + (at << 2), left, f32x4.splat(0)), areFloats, descending));
  storeTail(ids + (at << 2), left, i32x4.add(i32x4.splat(at), lanes));
}

@inline
function bucketOf(words: usize, at: i32, shift: i32): usize {
  return <usize>(((load<u32>(words + (at << 2)) >> shift) & (BUCKETS - 1)) << 2);
}

/** How often each digit occurs among the `size` words of each chunk: counts [chunks, BUCKETS]. Items are chunks. */
export function countDigits(begin: i32, end: i32, words: usize, counts: usize, length: i32, size: i32, shift: i32): void {
  for (let chunk = begin; chunk < end; chunk++) {
    const own = counts + <usize>chunk * (BUCKETS << 2);
    memory.fill(own, 0, BUCKETS << 2);
    const last = min(length, (chunk + 1) * size);
    for (let at = chunk * size; at < last; at++) {
      const slot = own + bucketOf(words, at, shift);
      store<i32>(slot, load<i32>(slot) + 1);
    }
  }
}

/** Turns counts into where each chunk's words of each digit go. Returns 1 if one digit has them all, so that none need move. */
export function digitStarts(counts: usize, chunks: i32, length: i32): i32 {
  let start = 0;
  for (let bucket: usize = 0; bucket < <usize>(BUCKETS << 2); bucket += 4) {
    const first = start;
    let slot = counts + bucket;
    for (let chunk = 0; chunk < chunks; chunk++, slot += BUCKETS << 2) {
      const count = load<i32>(slot);
      store<i32>(slot, start);
      start += count;
    }
    if (start - first == length) return 1;
  }
  return 0;
}

/** Moves words and their ids by their digit. `starts` is used up. Items are chunks. */
export function moveByDigit(
  begin: i32, end: i32, words: usize, ids: usize, toWords: usize, toIds: usize, starts: usize, length: i32, size: i32, shift: i32,
): void {
  for (let chunk = begin; chunk < end; chunk++) {
    const own = starts + <usize>chunk * (BUCKETS << 2);
    const last = min(length, (chunk + 1) * size);
    for (let at = chunk * size; at < last; at++) {
      const slot = own + bucketOf(words, at, shift);
      const to = load<i32>(slot);
      store<i32>(slot, to + 1);
      store<i32>(toWords + (to << 2), load<i32>(words + (at << 2)));
      store<i32>(toIds + (to << 2), load<i32>(ids + (at << 2)));
    }
  }
}
