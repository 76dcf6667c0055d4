// Kernels of mixture-of-experts routing: thresholdSelect, topK, combineExperts and its gradient. Items are rows.
import { addScaledRun, dotRun, loadTail, scaleRun } from './lanes';
import { threadScratch } from './thread';

/** The most columns that ranking by counting takes: it costs N²/4 comparisons. Known to src/engine/kernels/routing.ts. */
const RANKED_COLUMNS = 256;

/** Integers ordered as the floats: −0 as +0, NaN below everything. */
@inline
function keysOf(x: v128): v128 {
  const bits = f32x4.add(x, f32x4.splat(0));
  const ordered = v128.xor(bits, v128.and(i32x4.shr_s(bits, 31), i32x4.splat(0x7fffffff)));
  return v128.bitselect(ordered, i32x4.splat(i32.MIN_VALUE), f32x4.eq(x, x));
}

/** The keys of a row, padded to whole vectors with the smallest of all. */
@inline
function writeKeys(from: usize, count: i32, keys: usize): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) v128.store(keys + (i << 2), keysOf(v128.load(from + (i << 2))));
  if (i < count) v128.store(keys + (i << 2), keysOf(loadTail(from + (i << 2), count - i, f32x4.splat(NaN))));
}

/** How many of the keys come before key i in descending order, ties by lowest index. */
@inline
function rankOf(i: i32, keys: usize, count: i32): i32 {
  const own = v128.load32_splat(keys + (i << 2));
  const block = i & ~3;
  // Lanes of a comparison are −1 where true.
  let ranks = i32x4.splat(0);
  for (let j = 0; j < block; j += 4) ranks = i32x4.add(ranks, i32x4.ge_s(v128.load(keys + (j << 2)), own));
  const near = v128.load(keys + (block << 2));
  const earlier = i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(i - block));
  ranks = i32x4.add(ranks, v128.or(i32x4.gt_s(near, own), v128.and(earlier, i32x4.eq(near, own))));
  for (let j = block + 4; j < count; j += 4) ranks = i32x4.add(ranks, i32x4.gt_s(v128.load(keys + (j << 2)), own));
  const pairs = i32x4.add(ranks, i32x4.shuffle(ranks, ranks, 2, 3, 0, 1));
  return -(i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1));
}

/** Sorts a row descending: its first `kept` values and their ids. */
@inline
function sortRow(from: usize, count: i32, kept: i32, values: usize, ids: usize): void {
  const keys = threadScratch();
  writeKeys(from, count, keys);
  for (let i = 0; i < count; i++) {
    const rank = rankOf(i, keys, count);
    if (rank >= kept) continue;
    store<f32>(values + (rank << 2), load<f32>(from + (i << 2)));
    store<i32>(ids + (rank << 2), i);
  }
}

/** XMoE, Algorithm 1; partial sums are rounded, left to right. `all`: the threshold is at least 1, all N are wanted. */
export function thresholdSelect(
  begin: i32, end: i32, p: usize, values: usize, ids: usize, counts: usize, columns: i32, threshold: f32, all: i32,
): void {
  for (let row = begin; row < end; row++) {
    const at = (row * columns) << 2;
    sortRow(p + at, columns, columns, values + at, ids + at);
    let wanted = columns;
    if (all == 0) {
      let sum: f32 = 0;
      for (let j = 0; j < columns; j++) {
        sum += load<f32>(values + at + (j << 2));
        if (sum >= threshold) {
          wanted = j + 1;
          break;
        }
      }
    }
    store<i32>(counts + (row << 2), wanted);
  }
}

/** Keeps the best `k` so far in order: quick for the few choices of a router. */
@inline
function insertLargest(from: usize, count: i32, k: i32, values: usize, ids: usize): void {
  for (let candidate = 0; candidate < count; candidate++) {
    const value = load<f32>(from + (candidate << 2));
    let slot = min(candidate, k);
    while (slot > 0) {
      const other = load<f32>(values + (slot << 2) - 4);
      if (!(value > other || (other != other && value == value))) break;
      if (slot < k) {
        store<f32>(values + (slot << 2), other);
        store<i32>(ids + (slot << 2), load<i32>(ids + (slot << 2) - 4));
      }
      slot--;
    }
    if (slot < k) {
      store<f32>(values + (slot << 2), value);
      store<i32>(ids + (slot << 2), candidate);
    }
  }
}

export function topK(begin: i32, end: i32, x: usize, values: usize, ids: usize, columns: i32, k: i32): void {
  for (let row = begin; row < end; row++) {
    const from = x + ((row * columns) << 2);
    const at = (row * k) << 2;
    if (k <= 4 || columns > RANKED_COLUMNS) insertLargest(from, columns, k, values + at, ids + at);
    else sortRow(from, columns, k, values + at, ids + at);
  }
}

/** Items are tokens. */
export function combineExperts(
  begin: i32, end: i32, expertOut: usize, weights: usize, claimRow: usize, out: usize, columns: i32, choices: i32,
): void {
  const bytes = columns << 2;
  for (let token = begin; token < end; token++) {
    const to = out + token * bytes;
    let isFirst = true;
    for (let claim = token * choices; claim < (token + 1) * choices; claim++) {
      const row = load<i32>(claimRow + (claim << 2));
      if (row < 0) continue;
      const weight = load<f32>(weights + (claim << 2));
      if (isFirst) scaleRun(to, expertOut + row * bytes, weight, columns);
      else addScaledRun(to, expertOut + row * bytes, weight, columns);
      isFirst = false;
    }
    if (isFirst) memory.fill(to, 0, bytes);
  }
}

/** dExpertOut. Items are rows of it. */
export function combineExpertsRowGrad(
  begin: i32, end: i32, weights: usize, rowClaim: usize, dy: usize, dExpertOut: usize, columns: i32, choices: i32,
): void {
  const bytes = columns << 2;
  for (let row = begin; row < end; row++) {
    const claim = load<i32>(rowClaim + (row << 2));
    const to = dExpertOut + row * bytes;
    if (claim < 0) memory.fill(to, 0, bytes);
    else scaleRun(to, dy + (claim / choices) * bytes, load<f32>(weights + (claim << 2)), columns);
  }
}

/** dWeights. Items are tokens. */
export function combineExpertsWeightGrad(
  begin: i32, end: i32, expertOut: usize, claimRow: usize, dy: usize, dWeights: usize, columns: i32, choices: i32,
): void {
  const bytes = columns << 2;
  for (let token = begin; token < end; token++) {
    for (let claim = token * choices; claim < (token + 1) * choices; claim++) {
      const row = load<i32>(claimRow + (claim << 2));
      store<f32>(dWeights + (claim << 2), row < 0 ? 0 : dotRun(expertOut + row * bytes, dy + token * bytes, columns));
    }
  }
}
