// Kernels of mixture-of-experts routing: thresholdSelect, topK, combineExperts and its gradient. Items are rows.
import { dotRun, loadTail, scaleRun, storeTail } from './lanes';
import { writeKeys } from './ordered-keys';
import { madd } from './simd';
import { threadScratch } from './thread';
import { selectByDigits } from './wide-rows';

/** Σ of the lanes of each: [Σ a, Σ b, Σ c, Σ d]. */
@inline
function sumEach(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(i32x4.shuffle(a, b, 0, 4, 1, 5), i32x4.shuffle(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(i32x4.shuffle(c, d, 0, 4, 1, 5), i32x4.shuffle(c, d, 2, 6, 3, 7));
  return i32x4.add(i32x4.shuffle(ab, cd, 0, 1, 4, 5), i32x4.shuffle(ab, cd, 2, 3, 6, 7));
}

/**
 * How many keys come before each of the keys i … i + 3 (i a multiple of 4) in descending order, ties by lowest index: earlier
 * ones that are not smaller, later ones that are larger.
 */
@inline
function ranksOf(i: i32, keys: usize, count: i32): v128 {
  const own = v128.load(keys + (i << 2));
  const a = i32x4.shuffle(own, own, 0, 0, 0, 0);
  const b = i32x4.shuffle(own, own, 1, 1, 1, 1);
  const c = i32x4.shuffle(own, own, 2, 2, 2, 2);
  const d = i32x4.shuffle(own, own, 3, 3, 3, 3);
  // A comparison is −1 in lanes where it holds.
  let ra = i32x4.gt_s(own, a);
  let rb = v128.or(i32x4.gt_s(own, b), v128.and(i32x4.eq(own, b), i32x4(-1, 0, 0, 0)));
  let rc = v128.or(i32x4.gt_s(own, c), v128.and(i32x4.eq(own, c), i32x4(-1, -1, 0, 0)));
  let rd = v128.or(i32x4.gt_s(own, d), v128.and(i32x4.eq(own, d), i32x4(-1, -1, -1, 0)));
  const here = keys + (i << 2);
  for (let at = keys; at < here; at += 16) {
    const other = v128.load(at);
    ra = i32x4.add(ra, i32x4.ge_s(other, a));
    rb = i32x4.add(rb, i32x4.ge_s(other, b));
    rc = i32x4.add(rc, i32x4.ge_s(other, c));
    rd = i32x4.add(rd, i32x4.ge_s(other, d));
  }
  const last = keys + (count << 2);
  for (let at = here + 16; at < last; at += 16) {
    const other = v128.load(at);
    ra = i32x4.add(ra, i32x4.gt_s(other, a));
    rb = i32x4.add(rb, i32x4.gt_s(other, b));
    rc = i32x4.add(rc, i32x4.gt_s(other, c));
    rd = i32x4.add(rd, i32x4.gt_s(other, d));
  }
  return i32x4.neg(sumEach(ra, rb, rc, rd));
}

/** `names` (0: each itself) says which of the row the keys are. */
@inline
function place(i: i32, count: i32, rank: i32, kept: i32, from: usize, names: usize, values: usize, ids: usize): void {
  if (i >= count || rank >= kept) return;
  const id = names == 0 ? i : load<i32>(names + (i << 2));
  store<f32>(values + (rank << 2), load<f32>(from + (id << 2)));
  store<i32>(ids + (rank << 2), id);
}

/** Puts each of `count` keys where its rank says, if that is one of the first `kept`. */
@inline
function placeAll(keys: usize, count: i32, kept: i32, from: usize, names: usize, values: usize, ids: usize): void {
  for (let i = 0; i < count; i += 4) {
    const ranks = ranksOf(i, keys, count);
    place(i, count, i32x4.extract_lane(ranks, 0), kept, from, names, values, ids);
    place(i + 1, count, i32x4.extract_lane(ranks, 1), kept, from, names, values, ids);
    place(i + 2, count, i32x4.extract_lane(ranks, 2), kept, from, names, values, ids);
    place(i + 3, count, i32x4.extract_lane(ranks, 3), kept, from, names, values, ids);
  }
}

/** Sorts a row descending: its first `kept` values and their ids. */
@inline
function sortRow(from: usize, count: i32, kept: i32, values: usize, ids: usize): void {
  const keys = threadScratch();
  writeKeys(from, count, keys);
  placeAll(keys, count, kept, from, 0, values, ids);
}

/** Puts a candidate among the best so far (`held` of at most k, in order): before what is smaller, after its equals. */
@inline
function insert(value: f32, candidate: i32, held: i32, k: i32, values: usize, ids: usize): void {
  let slot = held;
  while (slot > 0) {
    const other = load<f32>(values + (slot << 2) - 4);
    if (!(value > other || (other != other && value == value))) break;
    if (slot < k) {
      store<f32>(values + (slot << 2), other);
      store<i32>(ids + (slot << 2), load<i32>(ids + (slot << 2) - 4));
    }
    slot--;
  }
  if (slot >= k) return;
  store<f32>(values + (slot << 2), value);
  store<i32>(ids + (slot << 2), candidate);
}

/** Keeps the best `k` so far in order. Four candidates of which none beats the last of them are passed over at once. */
@inline
function insertLargest(from: usize, count: i32, k: i32, values: usize, ids: usize): void {
  let i = 0;
  for (; i < count && i < k; i++) insert(load<f32>(from + (i << 2)), i, i, k, values, ids);
  const lowest = values + (k << 2) - 4;
  for (; i < count; i++) {
    while (i + 4 <= count && v128.all_true<i32>(f32x4.le(v128.load(from + (i << 2)), v128.load32_splat(lowest)))) i += 4;
    if (i < count) insert(load<f32>(from + (i << 2)), i, k, k, values, ids);
  }
}

/** The most choices that are found by insertion. */
const INSERTED = 16;

/** The most columns to sort by counting, which costs N² / 4 comparisons. */
const RANKED_COLUMNS = 256;

/** The k largest of a row, descending. */
@inline
function selectLargest(from: usize, columns: i32, k: i32, values: usize, ids: usize): void {
  if (k <= INSERTED) insertLargest(from, columns, k, values, ids);
  else if (columns <= RANKED_COLUMNS) sortRow(from, columns, k, values, ids);
  else selectByDigits(from, columns, k, values, ids);
}

/** A mass of 1: see threshold-mass.ts of core. */
const WHOLE: i32 = 1073741824;

/** Bytes of the keys of a row of RANKED_COLUMNS, and of what is read behind them. */
const KEYS_BYTES: usize = 1040;

/**
 * As sortRow and then countTo, of the values alone that are larger than an even share of what may be left out: of probabilities those are enough, and
 * half of them. Returns 0 where they do not sum up to `limit`: then nothing is known.
 */
function selectMass(from: usize, columns: i32, k: i32, limit: i32, values: usize, ids: usize): i32 {
  const all = threadScratch(), keys = all + KEYS_BYTES, names = keys + KEYS_BYTES;
  const least = <f32>(WHOLE - limit) / (<f32>WHOLE * <f32>columns);
  writeKeys(from, columns, all);
  let count: usize = 0;
  for (let i: usize = 0; i < <usize>columns << 2; i += 4) {
    store<i32>(keys + count, load<i32>(all + i));
    store<i32>(names + count, <i32>(i >> 2));
    count += <usize>(load<f32>(from + i) > least) << 2;
  }
  const chosen = <i32>(count >> 2);
  v128.store(keys + count, i32x4.splat(i32.MIN_VALUE));
  placeAll(keys, chosen, k, from, names, values, ids);
  const kept = min(k, chosen);
  return max(0, countTo(values, kept, limit));
}

/**
 * XMoE, Algorithm 1; partial sums are rounded, left to right. `mask` may be 0. `all`: the threshold is at least 1, all K are
 * wanted.
 */
export function thresholdSelect(
  begin: i32, end: i32, p: usize, mask: usize, values: usize, ids: usize, counts: usize, columns: i32, k: i32, limit: i32, all: i32,
): void {
  for (let row = begin; row < end; row++) {
    const at = (row * k) << 2;
    let wanted = 0;
    if (mask == 0 || load<u8>(mask + row) != 0) {
      const from = p + ((row * columns) << 2);
      if (k > INSERTED && columns <= RANKED_COLUMNS && all == 0) wanted = selectMass(from, columns, k, limit, values + at, ids + at);
      if (wanted === 0) {
        selectLargest(from, columns, k, values + at, ids + at);
        const reached = all == 0 ? countTo(values + at, k, limit) : k;
        wanted = reached < 0 ? k : reached;
      }
    }
    const rest = (k - wanted) << 2;
    memory.fill(values + at + (wanted << 2), 0, rest);
    memory.fill(ids + at + (wanted << 2), 0xff, rest); // −1
    store<i32>(counts + (row << 2), wanted);
  }
}

/** The smallest m ≤ k whose first m values sum to `limit` units of 1 / WHOLE, −1 if none. */
@inline
function countTo(values: usize, k: i32, limit: i32): i32 {
  let mass = 0;
  for (let j = 0; j < k; j++) {
    const p = load<f32>(values + (j << 2));
    if (p > 0) mass += <i32>(min<f32>(p, 1) * <f32>WHOLE); // NaN counts nothing
    if (mass >= limit) return j + 1;
  }
  return -1;
}

export function topK(begin: i32, end: i32, x: usize, values: usize, ids: usize, columns: i32, k: i32): void {
  for (let row = begin; row < end; row++) {
    const at = (row * k) << 2;
    selectLargest(x + ((row * columns) << 2), columns, k, values + at, ids + at);
  }
}

/** The addresses of a token's rows and their weights, side by side, at `list`. Returns how many rows there are. */
@inline
function listRows(claimRow: usize, weights: usize, choices: i32, expertOut: usize, bytes: i32, list: usize): i32 {
  let count = 0;
  for (let j = 0; j < choices; j++) {
    while (j + 4 <= choices && i32x4.bitmask(v128.load(claimRow + (j << 2))) == 15) j += 4;
    if (j >= choices) break;
    const row = load<i32>(claimRow + (j << 2));
    if (row < 0) continue;
    store<usize>(list + (count << 3), expertOut + row * bytes);
    store<f32>(list + (count << 3), load<f32>(weights + (j << 2)), 4);
    count++;
  }
  return count;
}

/** Items are tokens. Column by column over all rows of a token: rows lie anywhere, so many are waited for at once. */
export function combineExperts(
  begin: i32, end: i32, expertOut: usize, weights: usize, claimRow: usize, out: usize, columns: i32, choices: i32,
): void {
  const bytes = columns << 2;
  const list = threadScratch();
  for (let token = begin; token < end; token++) {
    const to = out + token * bytes;
    const first = (token * choices) << 2;
    const last = list + (listRows(claimRow + first, weights + first, choices, expertOut, bytes, list) << 3);
    let j = 0;
    for (; j + 32 <= columns; j += 32) {
      let a = f32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
      for (let entry = list; entry < last; entry += 8) {
        const from = load<usize>(entry) + (j << 2);
        const weight = v128.load32_splat(entry, 4);
        a = madd(weight, v128.load(from), a);
        b = madd(weight, v128.load(from, 16), b);
        c = madd(weight, v128.load(from, 32), c);
        d = madd(weight, v128.load(from, 48), d);
        e = madd(weight, v128.load(from, 64), e);
        f = madd(weight, v128.load(from, 80), f);
        g = madd(weight, v128.load(from, 96), g);
        h = madd(weight, v128.load(from, 112), h);
      }
      const at = to + (j << 2);
      v128.store(at, a);
      v128.store(at, b, 16);
      v128.store(at, c, 32);
      v128.store(at, d, 48);
      v128.store(at, e, 64);
      v128.store(at, f, 80);
      v128.store(at, g, 96);
      v128.store(at, h, 112);
    }
    for (; j < columns; j += 4) {
      const count = min(4, columns - j);
      let sum = f32x4.splat(0);
      for (let entry = list; entry < last; entry += 8) {
        const from = load<usize>(entry) + (j << 2);
        sum = madd(v128.load32_splat(entry, 4), count == 4 ? v128.load(from) : loadTail(from, count, f32x4.splat(0)), sum);
      }
      if (count == 4) v128.store(to + (j << 2), sum);
      else storeTail(to + (j << 2), count, sum);
    }
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
