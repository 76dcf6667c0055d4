// attention of one query of each head, as a text that goes on by a token makes it: keys and values are read where they lie, once each, and no tile is
// computed for queries that are not there. Every sum runs in the order of attention.ts, to the same bits. Without dropout. D is a multiple of 8.
import { multiplyFew } from './gemm-few';
import { maxLanes, scaleRun } from './lanes';
import { expNegative4 } from './math';
import { madd } from './simd';
import { threadScratch } from './thread';

/** The largest of no scores. */
const LOWEST: f32 = -3.4028234663852886e38;

/** Keys up to the last that the mask (0: none) does not hide: behind it may be room for later ones. */
@inline
function visibleKeys(Tk: i32, keyMask: usize): i32 {
  if (keyMask != 0) while (Tk > 0 && load<u8>(keyMask + Tk - 1) == 0) Tk--;
  return Tk;
}

/** Whether the mask (0: none) hides one of the keys. */
@inline
function hidesAny(keyMask: usize, Tk: i32): bool {
  if (keyMask == 0) return false;
  let j = 0;
  for (; j + 16 <= Tk; j += 16) if (!i8x16.all_true(v128.load(keyMask + j))) return true;
  for (; j < Tk; j++) if (load<u8>(keyMask + j) == 0) return true;
  return false;
}

/** The first key from j on that is hidden, or that is not. */
@inline
function nextKey(keyMask: usize, j: i32, Tk: i32, hidden: bool): i32 {
  while (j < Tk && (load<u8>(keyMask + j) == 0) != hidden) j++;
  return j;
}

/** −∞ where the mask (0: none) hides a key, and up to a whole vector after the last. */
@inline
function hideKeys(scores: usize, Tk: i32, keyMask: usize): void {
  for (let j = Tk; (j & 3) !== 0; j++) store<f32>(scores + (<usize>j << 2), -Infinity);
  if (keyMask == 0) return;
  for (let j = 0; j < Tk; j++) if (load<u8>(keyMask + j) == 0) store<f32>(scores + (<usize>j << 2), -Infinity);
}

/** Scores become e^(s − largest); the largest and 1 / Σ (0 of none) go to `stats`. The sum takes one key after the other. */
@inline
function softmaxKeys(scores: usize, Tk: i32, stats: usize): void {
  const last = scores + (<usize>((Tk + 3) & ~3) << 2);
  let top = f32x4.splat(LOWEST);
  for (let at = scores; at < last; at += 16) top = f32x4.pmax(top, v128.load(at));
  const largest = maxLanes(top);
  top = f32x4.splat(largest);
  let sum: f32 = 0;
  for (let at = scores; at < last; at += 16) {
    const value = expNegative4(f32x4.sub(v128.load(at), top));
    v128.store(at, value);
    sum += f32x4.extract_lane(value, 0);
    sum += f32x4.extract_lane(value, 1);
    sum += f32x4.extract_lane(value, 2);
    sum += f32x4.extract_lane(value, 3);
  }
  store<f32>(stats, largest);
  store<f32>(stats, sum == 0 ? 0 : <f32>1 / sum, 4);
}

/** out [16 or 8 columns] = Σ_j scores[j]·values[j], without what the mask hides: it may not be finite. */
@inline
function mixColumns(scores: usize, values: usize, keyMask: usize, Tk: i32, rowBytes: usize, wide: bool, out: usize): void {
  let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0;
  for (let j = 0; j < Tk;) {
    const from = keyMask == 0 ? 0 : nextKey(keyMask, j, Tk, false), end = keyMask == 0 ? Tk : nextKey(keyMask, from, Tk, true);
    let score = scores + (<usize>from << 2), row = values + <usize>from * rowBytes;
    for (j = from; j < end; j++, score += 4, row += rowBytes) {
      const p = v128.load32_splat(score);
      c0 = madd(p, v128.load(row), c0);
      c1 = madd(p, v128.load(row, 16), c1);
      if (wide) {
        c2 = madd(p, v128.load(row, 32), c2);
        c3 = madd(p, v128.load(row, 48), c3);
      }
    }
  }
  v128.store(out, c0);
  v128.store(out, c1, 16);
  if (wide) {
    v128.store(out, c2, 32);
    v128.store(out, c3, 48);
  }
}

/** Items are heads: q and out [heads, D], k and v [heads, Tk, D], stats [heads, 2]; `perBatch` of them share a row of keyMask (0: none). Scratch: a query, scores. */
export function attentionOfOne(
  begin: i32, end: i32, q: usize, k: usize, v: usize, keyMask: usize, out: usize, stats: usize, perBatch: i32, Tk: i32, D: i32, scale: f32,
): void {
  const rowBytes = <usize>D << 2, query = threadScratch(), scores = query + rowBytes;
  for (let head = begin; head < end; head++) {
    const row = <usize>head * rowBytes, keys = row * <usize>Tk;
    scaleRun(query, q + row, scale, D);
    const ofHead = keyMask == 0 ? 0 : keyMask + (head / perBatch) * Tk, visible = visibleKeys(Tk, ofHead), mask = hidesAny(ofHead, visible) ? ofHead : 0;
    multiplyFew(1, visible, D, query, 0, 4, k + keys, rowBytes, true, scores, 0);
    hideKeys(scores, visible, mask);
    softmaxKeys(scores, visible, stats + (<usize>head << 3));
    let column: usize = 0;
    for (; column + 64 <= rowBytes; column += 64) mixColumns(scores, v + keys + column, mask, visible, rowBytes, true, out + row + column);
    if (column < rowBytes) mixColumns(scores, v + keys + column, mask, visible, rowBytes, false, out + row + column);
    scaleRun(out + row, out + row, load<f32>(stats + (<usize>head << 3), 4), D);
  }
}
