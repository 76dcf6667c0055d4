// dispatchClaims in steps of linear time: count, collect, order by rank, place by expert, each on one thread. Only the order by
// score between them is a sort (sorting.ts). Where every claim has a row there is no order but theirs, and chunks of tokens are counted and
// placed on all threads. A claim is t·K + j; it is used where its id is one of 0 … N − 1.

/** Whether the four ids at `at` are all negative. */
@inline
function noneOfFour(at: usize): bool {
  return i32x4.bitmask(v128.load(at)) === 15;
}

/** Claims of each expert and of each rank: wanted [N], ranks [K]. */
export function countClaims(ids: usize, T: i32, K: i32, N: i32, wanted: usize, ranks: usize): void {
  memory.fill(wanted, 0, <usize>N << 2);
  memory.fill(ranks, 0, <usize>K << 2);
  for (let token = 0; token < T; token++, ids += <usize>K << 2) {
    for (let j = 0; j < K; j++) {
      while (j + 4 <= K && noneOfFour(ids + (<usize>j << 2))) j += 4;
      if (j >= K) break;
      const id = load<i32>(ids + (<usize>j << 2));
      if (<u32>id >= <u32>N) continue;
      increment(wanted, id);
      increment(ranks, j);
    }
  }
}

@inline
function increment(counts: usize, index: i32): i32 {
  const slot = counts + (<usize>index << 2);
  const count = load<i32>(slot);
  store<i32>(slot, count + 1);
  return count;
}

/** Items are chunks of `size` tokens: how many claims of each have each expert, counts [chunks, N]. */
export function countChunks(begin: i32, end: i32, ids: usize, T: i32, K: i32, N: i32, size: i32, counts: usize): void {
  for (let chunk = begin; chunk < end; chunk++) {
    const own = counts + <usize>chunk * (<usize>N << 2), last = min(T, (chunk + 1) * size) * K;
    memory.fill(own, 0, <usize>N << 2);
    for (let claim = chunk * size * K; claim < last; claim++) {
      while (claim + 4 <= last && noneOfFour(ids + (<usize>claim << 2))) claim += 4;
      if (claim >= last) break;
      const id = load<i32>(ids + (<usize>claim << 2));
      if (<u32>id < <u32>N) increment(own, id);
    }
  }
}

/** Counts of chunks → the row where each chunk's claims of an expert begin; offsets [N + 1], and how many each expert has: wanted and kept [N]. */
export function startsOfChunks(counts: usize, chunks: i32, N: i32, offsets: usize, wanted: usize, kept: usize): void {
  let row = 0;
  for (let expert: usize = 0; expert < <usize>N << 2; expert += 4) {
    const first = row;
    store<i32>(offsets + expert, first);
    for (let chunk = 0; chunk < chunks; chunk++) {
      const slot = counts + <usize>chunk * (<usize>N << 2) + expert;
      const count = load<i32>(slot);
      store<i32>(slot, row);
      row += count;
    }
    store<i32>(wanted + expert, row - first);
    store<i32>(kept + expert, row - first);
  }
  store<i32>(offsets + (<usize>N << 2), row);
}

/** Items are chunks of `size` tokens: gives each claim the next row of its expert. `starts` [chunks, N] is used up. claimRow [T, K] is written whole. */
export function placeChunks(
  begin: i32, end: i32, ids: usize, T: i32, K: i32, N: i32, size: i32, starts: usize, rowClaim: usize, rowToken: usize, claimRow: usize,
): void {
  for (let chunk = begin; chunk < end; chunk++) {
    const own = starts + <usize>chunk * (<usize>N << 2), first = chunk * size, last = min(T, first + size);
    memory.fill(claimRow + (<usize>(first * K) << 2), 0xff, <usize>((last - first) * K) << 2);
    for (let token = first; token < last; token++) {
      const past = (token + 1) * K;
      for (let claim = token * K; claim < past; claim++) {
        while (claim + 4 <= past && noneOfFour(ids + (<usize>claim << 2))) claim += 4;
        if (claim >= past) break;
        const id = load<i32>(ids + (<usize>claim << 2));
        if (<u32>id >= <u32>N) continue;
        const row = increment(own, id);
        store<i32>(rowClaim + (<usize>row << 2), claim);
        store<i32>(rowToken + (<usize>row << 2), token);
        store<i32>(claimRow + (<usize>claim << 2), row);
      }
    }
  }
}

/** A word that orders scores from large to small, NaN last; −0 is +0. */
@inline
function wordOf(score: f32): i32 {
  if (score != score) return -1;
  const bits = reinterpret<i32>(0 - score);
  return bits ^ ((bits >> 31) | i32.MIN_VALUE);
}

/** The used claims of rank below `ranks`, ascending, and the words of their scores (0: not wanted). Returns how many. */
export function collectClaims(ids: usize, scores: usize, T: i32, K: i32, N: i32, ranks: i32, claims: usize, words: usize): i32 {
  let count = 0;
  for (let token = 0; token < T; token++) {
    const base = token * K;
    for (let j = 0; j < ranks; j++) {
      while (j + 4 <= K && noneOfFour(ids + (<usize>(base + j) << 2))) j += 4;
      if (j >= ranks) break;
      const claim = base + j;
      if (<u32>load<i32>(ids + (<usize>claim << 2)) >= <u32>N) continue;
      store<i32>(claims + (<usize>count << 2), claim);
      if (words != 0) store<i32>(words + (<usize>count << 2), wordOf(load<f32>(scores + (<usize>claim << 2))));
      count++;
    }
  }
  return count;
}

/** counts [length] → where each begins. */
function startsOf(counts: usize, length: i32): void {
  let start = 0;
  for (let i = 0; i < length; i++, counts += 4) {
    const count = load<i32>(counts);
    store<i32>(counts, start);
    start += count;
  }
}

/** Claims by rank, equal ones as they stand. `ranks` [K] counts them and is used up. */
export function orderByRank(claims: usize, count: i32, K: i32, ranks: usize, ordered: usize): void {
  startsOf(ranks, K);
  for (let i = 0; i < count; i++) {
    const claim = load<i32>(claims + (<usize>i << 2));
    store<i32>(ordered + (<usize>increment(ranks, claim % K) << 2), claim);
  }
}

/**
 * Gives each claim the next row of its expert, up to `capacity` rows (−1: any number): load [N], offsets [N + 1], rowClaim and
 * rowToken [R], claimRow [T, K].
 */
export function placeClaims(
  claims: usize, count: i32, ids: usize, T: i32, K: i32, N: i32, R: i32, capacity: i32,
  rowClaim: usize, rowToken: usize, claimRow: usize, offsets: usize, kept: usize,
): void {
  memory.fill(rowClaim, 0xff, <usize>R << 2);
  memory.fill(rowToken, 0xff, <usize>R << 2);
  memory.fill(claimRow, 0xff, <usize>T * <usize>K << 2);
  memory.fill(kept, 0, <usize>N << 2);
  for (let i = 0; i < count; i++) increment(kept, expertOf(claims, i, ids));
  let start = 0;
  for (let expert = 0; expert < N; expert++) {
    const slot = kept + (<usize>expert << 2);
    store<i32>(offsets + (<usize>expert << 2), start);
    start += capacity >= 0 ? capacity : load<i32>(slot);
    store<i32>(slot, 0);
  }
  store<i32>(offsets + (<usize>N << 2), start);
  for (let i = 0; i < count; i++) {
    const expert = expertOf(claims, i, ids);
    const slot = kept + (<usize>expert << 2);
    const taken = load<i32>(slot);
    if (taken === capacity) continue;
    store<i32>(slot, taken + 1);
    const claim = load<i32>(claims + (<usize>i << 2));
    const row = load<i32>(offsets + (<usize>expert << 2)) + taken;
    store<i32>(rowClaim + (<usize>row << 2), claim);
    store<i32>(rowToken + (<usize>row << 2), claim / K);
    store<i32>(claimRow + (<usize>claim << 2), row);
  }
}

@inline
function expertOf(claims: usize, i: i32, ids: usize): i32 {
  return load<i32>(ids + (<usize>load<i32>(claims + (<usize>i << 2)) << 2));
}
