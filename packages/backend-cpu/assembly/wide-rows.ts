// The k largest of a row of many columns, for layers of thousands of experts: by the first digit those that may be among them, then a radix sort
// of these. Rows of at most 256 columns, and few choices, are routing.ts's.
import { writeKeys } from './ordered-keys';
import { threadScratch } from './thread';

const DIGIT_BITS = 11;
const BUCKETS = 1 << DIGIT_BITS;
/** The first digit of a word. */
const FIRST = 32 - DIGIT_BITS;

/** A table of counters for each pass of the sort, then words and columns of the candidates, twice. */
const TABLE_BYTES: usize = BUCKETS << 2;

/** Words that rise as values fall, in place of keys. */
@inline
function turnWords(words: usize, count: i32): void {
  for (let at = words; at < words + (count << 2); at += 16) v128.store(at, v128.xor(v128.load(at), i32x4.splat(i32.MAX_VALUE)));
}

@inline
function countOne(table: usize, word: u32, shift: i32): void {
  const slot = table + (((word >> shift) & (BUCKETS - 1)) << 2);
  store<i32>(slot, load<i32>(slot) + 1);
}

/** Of `count` words those whose first digit is among those of the k smallest, in their order: at `toWords`, their columns at `toColumns`. Returns how many. */
@inline
function candidates(words: usize, count: i32, k: i32, table: usize, toWords: usize, toColumns: usize): i32 {
  memory.fill(table, 0, TABLE_BYTES);
  for (let i = 0; i < count; i++) countOne(table, load<u32>(words + (i << 2)), FIRST);
  let last: u32 = 0;
  for (let sum = load<i32>(table); sum < k; sum += load<i32>(table + (last << 2))) last++;
  let found = 0;
  for (let i = 0; i < count; i++) {
    const word = load<u32>(words + (i << 2));
    store<u32>(toWords + (found << 2), word);
    store<i32>(toColumns + (found << 2), i);
    found += i32(word >> FIRST <= last);
  }
  return found;
}

/** One pass of the stable sort: by the digit at `shift`, from one region to the other. */
@inline
function sortByDigit(count: i32, shift: i32, table: usize, words: usize, columns: usize, toWords: usize, toColumns: usize): void {
  memory.fill(table, 0, TABLE_BYTES);
  for (let i = 0; i < count; i++) countOne(table, load<u32>(words + (i << 2)), shift);
  let start = 0;
  for (let slot = table; slot < table + TABLE_BYTES; slot += 4) {
    const own = load<i32>(slot);
    store<i32>(slot, start);
    start += own;
  }
  for (let i = 0; i < count; i++) {
    const word = load<u32>(words + (i << 2));
    const slot = table + (((word >> shift) & (BUCKETS - 1)) << 2);
    const to = load<i32>(slot);
    store<i32>(slot, to + 1);
    store<u32>(toWords + (to << 2), word);
    store<i32>(toColumns + (to << 2), load<i32>(columns + (i << 2)));
  }
}

/** The `kept` largest values of a row and their columns, descending, ties by lowest column. Scratch: 16 bytes a column and a table. */
export function selectByDigits(from: usize, count: i32, kept: i32, values: usize, ids: usize): void {
  const table = threadScratch();
  const room = <usize>((count + 4) & ~3) << 2;
  const words = table + TABLE_BYTES, columns = words + room, otherWords = columns + room, otherColumns = otherWords + room;
  writeKeys(from, count, otherWords);
  turnWords(otherWords, count);
  const found = candidates(otherWords, count, kept, table, words, columns);
  sortByDigit(found, 0, table, words, columns, otherWords, otherColumns);
  sortByDigit(found, DIGIT_BITS, table, otherWords, otherColumns, words, columns);
  sortByDigit(found, 2 * DIGIT_BITS, table, words, columns, otherWords, otherColumns);
  for (let rank = 0; rank < kept; rank++) {
    const column = load<i32>(otherColumns + (rank << 2));
    store<f32>(values + (rank << 2), load<f32>(from + (column << 2)));
    store<i32>(ids + (rank << 2), column);
  }
}
