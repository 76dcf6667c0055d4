// Floats as integers in their order, for selections that compare or sort. No selection here.
import { loadTail } from './lanes';

/** Integers ordered as the floats: −0 as +0, NaN below everything. */
@inline
function keysOf(x: v128): v128 {
  const bits = f32x4.add(x, f32x4.splat(0));
  const ordered = v128.xor(bits, v128.and(i32x4.shr_s(bits, 31), i32x4.splat(0x7fffffff)));
  return v128.bitselect(ordered, i32x4.splat(i32.MIN_VALUE), f32x4.eq(x, x));
}

/** The keys of a row, padded to whole vectors with the smallest of all. */
@inline
export function writeKeys(from: usize, count: i32, keys: usize): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) v128.store(keys + (i << 2), keysOf(v128.load(from + (i << 2))));
  if (i < count) v128.store(keys + (i << 2), keysOf(loadTail(from + (i << 2), count - i, f32x4.splat(NaN))));
}
