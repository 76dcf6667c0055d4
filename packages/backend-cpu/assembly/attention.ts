// attention and its gradient, BLOCK query rows at a time: never more than [Tk, BLOCK] scores at once, in the scratch of the
// thread. The backward pass makes the probabilities again from stats (Dao et al. 2022, Algorithm 4) and the dropout mask from its
// key. D is a multiple of 8 here; anything else is left to the plain kernels.
import { BLOCK, SCORE_BYTES, addRows, mixRows, scoreTile } from './attention-tiles';
import { keptFactors } from './dropout';
import { dotRun, scaleRun } from './lanes';
import { expNegative4 } from './math';
import { copyBytes, transposeTile } from './movement';
import { sumLanes } from './simd';
import { threadScratch } from './thread';

/** Up to 8 rows of D into a panel [D, 8] of rows side by side, zeros after the last. */
@inline
function packPanel(from: usize, count: i32, D: i32, to: usize): void {
  const rowBytes = D << 2;
  if (count >= 8) {
    for (let d = 0; d < rowBytes; d += 16) {
      transposeTile(from + d, rowBytes, to + (d << 3), 32);
      transposeTile(from + d + (rowBytes << 2), rowBytes, to + (d << 3) + 16, 32);
    }
    return;
  }
  memory.fill(to, 0, rowBytes << 3);
  for (let row = 0; row < count; row++) {
    for (let d = 0; d < D; d++) store<f32>(to + (d << 5) + (row << 2), load<f32>(from + row * rowBytes + (d << 2)));
  }
}

/** Packs rows [heads, T, D] into panels [heads, ⌈T/8⌉, D, 8]. Items are panels. */
export function packPanels(begin: i32, end: i32, x: usize, panels: usize, T: i32, D: i32): void {
  const perHead = (T + 7) >> 3;
  for (let item = begin; item < end; item++) {
    const first = (item % perHead) << 3;
    packPanel(x + (((item / perHead) * T + first) * D << 2), T - first, D, panels + item * (D << 5));
  }
}

/** Copies keys or values [heads, T, D], with zeros where the mask hides them: 0 times NaN would be NaN. Items are rows. */
export function seenRows(begin: i32, end: i32, x: usize, keyMask: usize, out: usize, heads: i32, T: i32, D: i32): void {
  const rowBytes = D << 2;
  for (let row = begin; row < end; row++) {
    const isSeen = load<u8>(keyMask + (row / (heads * T)) * T + (row % T)) != 0;
    if (isSeen) copyBytes(out + row * rowBytes, x + row * rowBytes, rowBytes);
    else memory.fill(out + row * rowBytes, 0, rowBytes);
  }
}

/** Whether all that the mask hides of keys or values [heads, T, D] is finite: then 0 times it is 0 as it stands. Looks at hidden rows alone. */
export function hidesFinite(x: usize, keyMask: usize, heads: i32, perBatch: i32, T: i32, D: i32): i32 {
  const rowBytes = D << 2;
  const zero = f32x4.splat(0);
  let sum = zero;
  for (let head = 0; head < heads; head++) {
    const mask = keyMask + (head / perBatch) * T;
    const rows = x + head * T * rowBytes;
    for (let j = 0; j < T; j++) {
      if (load<u8>(mask + j) != 0) continue;
      const row = rows + j * rowBytes;
      for (let d = 0; d < rowBytes; d += 16) sum = f32x4.add(sum, f32x4.mul(v128.load(row + d), zero));
    }
  }
  return isNaN<f32>(sumLanes(sum)) ? 0 : 1;
}

/** A block of up to BLOCK rows as two panels, times `factor`. */
@inline
function packBlock(from: usize, rows: i32, D: i32, factor: f32, to: usize): void {
  packPanel(from, rows, D, to);
  packPanel(from + (D << 5), rows - 8, D, to + (D << 5));
  if (factor != 1) scaleRun(to, to, factor, D * BLOCK);
}

/** How many leading keys a query row sees. */
@inline
export function limitOf(query: i32, causal: i32, Tq: i32, Tk: i32): i32 {
  return causal != 0 ? max(0, min(Tk, query + 1 + Tk - Tq)) : Tk;
}

/** scores [padded, BLOCK] = keys · queriesᵀ, both as panels; the second panel of queries only where it has rows. */
@inline
function scoreBlock(keys: usize, queries: usize, rows: i32, padded: i32, D: i32, scores: usize): void {
  const panelBytes = D << 5;
  const last = scores + padded * SCORE_BYTES;
  for (let to = scores; to < last; to += 8 * SCORE_BYTES) {
    scoreTile(keys, queries, D, to);
    scoreTile(keys + 16, queries, D, to + 4 * SCORE_BYTES);
    if (rows > 8) {
      scoreTile(keys, queries + panelBytes, D, to + 32);
      scoreTile(keys + 16, queries + panelBytes, D, to + 4 * SCORE_BYTES + 32);
    }
    keys += panelBytes;
  }
}

/** −∞ where a query does not see a key: beyond its limit (which grows by one per query if causal), or by the mask. */
@inline
function hideKeys(scores: usize, firstLimit: i32, padded: i32, causal: i32, Tk: i32, keyMask: usize): void {
  const unseen = f32x4.splat(-Infinity);
  for (let j = max(0, firstLimit); j < padded; j++) {
    const beyond = causal != 0 ? j - firstLimit : BLOCK; // the first query of the block that sees key j is one later
    for (let i = 0; i < BLOCK; i += 4) {
      const at = scores + j * SCORE_BYTES + (i << 2);
      const queries = i32x4.add(i32x4.splat(i), i32x4(0, 1, 2, 3));
      const isSeen = v128.and(i32x4.gt_s(queries, i32x4.splat(beyond)), i32x4.splat(j < Tk ? -1 : 0));
      v128.store(at, v128.bitselect(v128.load(at), unseen, isSeen));
    }
  }
  if (keyMask == 0) return;
  for (let j = 0; j < min(padded, Tk); j++) {
    if (load<u8>(keyMask + j) != 0) continue;
    for (let i = 0; i < SCORE_BYTES; i += 16) v128.store(scores + j * SCORE_BYTES + i, unseen);
  }
}

/** Softmax without the division, for 4 queries: scores become e^(s − largest). Leaves 1 / Σ and the largest; 0 and LOWEST of none. */
@inline
function softmaxColumns(scores: usize, count: i32, inverse: usize, peak: usize): void {
  const last = scores + count * SCORE_BYTES;
  const zero = f32x4.splat(0);
  let top = f32x4.splat(LOWEST);
  for (let at = scores; at < last; at += SCORE_BYTES) top = f32x4.pmax(top, v128.load(at));
  let sum = zero;
  for (let at = scores; at < last; at += SCORE_BYTES) {
    const value = expNegative4(f32x4.sub(v128.load(at), top));
    v128.store(at, value);
    sum = f32x4.add(sum, value);
  }
  v128.store(inverse, v128.andnot(f32x4.div(f32x4.splat(1), sum), f32x4.eq(sum, zero)));
  v128.store(peak, top);
}

/** The largest of no scores. */
const LOWEST: f32 = -3.4028234663852886e38;

/** The kept factors of 4 query rows into 4 rows of `to`. `first` is the index of the first row among all queries. */
@inline
function writeFactors(key: usize, stream: i32, first: i32, Tk: i32, count: i32, rate: f32, kept: f32, to: usize, rowBytes: i32): void {
  for (let i = 0; i < 4; i++) keptFactors(key, stream, <u64>(first + i) * <u64>Tk, count, rate, kept, to + i * rowBytes);
}

/** 4 × 4 factors, transposed, into the spare tile: [key, query]. */
@inline
function factorTile(factors: usize, rowBytes: i32, j: i32, tile: usize): void {
  transposeTile(factors + (j << 2), rowBytes, tile, 16);
}

/**
 * Items are blocks of query rows of each head. `panels` are those of k; `keyMask` and `key` may be 0; `kept` is 1 / (1 − rate).
 * Scratch: queries and mixed [BLOCK, D], numbers per query, 4 rows of factors if there is dropout, scores [Tk, BLOCK].
 */
export function attention(
  begin: i32, end: i32, q: usize, panels: usize, v: usize, keyMask: usize, key: usize, out: usize, stats: usize,
  heads: i32, Tq: i32, Tk: i32, D: i32, causal: i32, scale: f32, stream: i32, rate: f32, kept: f32,
): void {
  const blocks = (Tq + BLOCK - 1) / BLOCK;
  const padded = (Tk + 7) & ~7;
  const rowBytes = D << 2;
  const queries = threadScratch();
  const mixed = queries + BLOCK * rowBytes;
  const inverses = mixed + BLOCK * rowBytes;
  const peaks = inverses + SCORE_BYTES;
  const factors = peaks + SCORE_BYTES + 64;
  const factorBytes = (padded << 2) + 64;
  const scores = key == 0 ? factors : factors + 4 * factorBytes + 128;
  for (let item = begin; item < end; item++) {
    const head = item / blocks;
    const first = (item % blocks) * BLOCK;
    const rows = min(BLOCK, Tq - first);
    const visible = (limitOf(first + rows - 1, causal, Tq, Tk) + 7) & ~7;
    const row0 = head * Tq + first;
    packBlock(q + row0 * rowBytes, rows, D, scale, queries);
    scoreBlock(panels + head * padded * rowBytes, queries, rows, visible, D, scores);
    hideKeys(scores, causal != 0 ? first + 1 + Tk - Tq : Tk, visible, causal, Tk, keyMask == 0 ? 0 : keyMask + (head / heads) * Tk);
    for (let i = 0; i < rows; i += 4) {
      const columns = scores + (i << 2);
      softmaxColumns(columns, visible, inverses + (i << 2), peaks + (i << 2));
      if (key != 0) dropColumns(columns, visible, key, stream, row0 + i, Tk, rate, kept, factors, factorBytes);
      mixRows(columns, v + head * Tk * rowBytes, min(visible, Tk), D, mixed + i * rowBytes);
    }
    for (let i = 0; i < rows; i++) {
      scaleRun(out + (row0 + i) * rowBytes, mixed + i * rowBytes, load<f32>(inverses + (i << 2)), D);
      store<f32>(stats + ((row0 + i) << 3), load<f32>(peaks + (i << 2)));
      store<f32>(stats + ((row0 + i) << 3), load<f32>(inverses + (i << 2)), 4);
    }
  }
}

/** Multiplies the probabilities of 4 queries with their kept factors. */
@inline
function dropColumns(
  scores: usize, count: i32, key: usize, stream: i32, first: i32, Tk: i32, rate: f32, kept: f32, factors: usize, factorBytes: i32,
): void {
  const tile = factors + 4 * factorBytes;
  writeFactors(key, stream, first, Tk, count, rate, kept, factors, factorBytes);
  for (let j = 0; j < count; j += 4) {
    factorTile(factors, factorBytes, j, tile);
    for (let row = 0; row < 4; row++) {
      const at = scores + (j + row) * SCORE_BYTES;
      v128.store(at, f32x4.mul(v128.load(at), v128.load(tile + (row << 4))));
    }
  }
}

/** For 4 queries: scores → kept probabilities, flows (gradients of those) → gradients of scale·q·k. */
@inline
function backwardColumns(scores: usize, flows: usize, count: i32, numbers: usize): void {
  const top = v128.load(numbers);
  const inverse = v128.load(numbers, SCORE_BYTES);
  const delta = v128.load(numbers, 2 * SCORE_BYTES);
  const bytes = count * SCORE_BYTES;
  for (let at = 0; at < bytes; at += SCORE_BYTES) {
    const p = f32x4.mul(expNegative4(f32x4.sub(v128.load(scores + at), top)), inverse);
    v128.store(flows + at, f32x4.mul(p, f32x4.sub(v128.load(flows + at), delta)));
    v128.store(scores + at, p);
  }
}

/** As `backwardColumns`, with dropout. */
@inline
function backwardDroppedColumns(
  scores: usize, flows: usize, count: i32, numbers: usize, factors: usize, factorBytes: i32,
): void {
  const top = v128.load(numbers);
  const inverse = v128.load(numbers, SCORE_BYTES);
  const delta = v128.load(numbers, 2 * SCORE_BYTES);
  const tile = factors + 4 * factorBytes;
  for (let j = 0; j < count; j += 4) {
    factorTile(factors, factorBytes, j, tile);
    for (let row = 0; row < 4; row++) {
      const at = (j + row) * SCORE_BYTES;
      const factor = v128.load(tile + (row << 4));
      const p = f32x4.mul(expNegative4(f32x4.sub(v128.load(scores + at), top)), inverse);
      v128.store(flows + at, f32x4.mul(p, f32x4.sub(f32x4.mul(v128.load(flows + at), factor), delta)));
      v128.store(scores + at, f32x4.mul(p, factor));
    }
  }
}

/** sums [Tk, D] += scores · rows, for the first `visible` keys; `spare` [4, D] holds the last, partial group of four. */
@inline
function addBlock(scores: usize, rows: usize, count: i32, D: i32, sums: usize, visible: i32, Tk: i32, spare: usize): void {
  const rowBytes = D << 2;
  const end = min(visible, Tk);
  let j = 0;
  for (; j + 4 <= end; j += 4) addRows(scores + j * SCORE_BYTES, rows, count, D, sums + j * rowBytes);
  if (j >= end) return;
  const bytes = (end - j) * rowBytes;
  memory.fill(spare, 0, 4 * rowBytes);
  copyBytes(spare, sums + j * rowBytes, bytes);
  addRows(scores + j * SCORE_BYTES, rows, count, D, spare);
  copyBytes(sums + j * rowBytes, spare, bytes);
}

/** Three rows of numbers per query of a block: its largest score, 1 / Σ and Σ dout·out; zeros beyond the last query. */
@inline
function writeNumbers(stats: usize, dout: usize, out: usize, rows: i32, D: i32, numbers: usize): void {
  memory.fill(numbers, 0, 3 * SCORE_BYTES);
  for (let i = 0; i < rows; i++) {
    const at = numbers + (i << 2);
    store<f32>(at, load<f32>(stats + (i << 3)));
    store<f32>(at, load<f32>(stats + (i << 3), 4), SCORE_BYTES);
    store<f32>(at, dotRun(dout + ((i * D) << 2), out + ((i * D) << 2), D), 2 * SCORE_BYTES);
  }
}

/**
 * Items are heads, so that dk and dv have one writer. `keyPanels` and `valuePanels` are those of k and v. Scratch as in
 * `attention`, and flows as large as scores.
 */
export function attentionGrad(
  begin: i32, end: i32, q: usize, k: usize, keyPanels: usize, valuePanels: usize, keyMask: usize, key: usize, out: usize, stats: usize,
  dout: usize, dq: usize, dk: usize, dv: usize,
  heads: i32, Tq: i32, Tk: i32, D: i32, causal: i32, scale: f32, stream: i32, rate: f32, kept: f32,
): void {
  const padded = (Tk + 7) & ~7;
  const rowBytes = D << 2;
  const queries = threadScratch();
  const upstream = queries + BLOCK * rowBytes;
  const mixed = upstream + BLOCK * rowBytes;
  const numbers = mixed + BLOCK * rowBytes;
  const spare = numbers + 3 * SCORE_BYTES;
  const factors = spare + 4 * rowBytes + 64;
  const factorBytes = (padded << 2) + 64;
  const scores = key == 0 ? factors : factors + 4 * factorBytes + 128;
  const flows = scores + padded * SCORE_BYTES;
  for (let head = begin; head < end; head++) {
    const keyBytes = head * Tk * rowBytes;
    memory.fill(dk + keyBytes, 0, Tk * rowBytes);
    memory.fill(dv + keyBytes, 0, Tk * rowBytes);
    for (let first = 0; first < Tq; first += BLOCK) {
      const rows = min(BLOCK, Tq - first);
      const visible = (limitOf(first + rows - 1, causal, Tq, Tk) + 7) & ~7;
      const row0 = head * Tq + first;
      const block = row0 * rowBytes;
      packBlock(q + block, rows, D, scale, queries);
      packBlock(dout + block, rows, D, 1, upstream);
      scoreBlock(keyPanels + head * padded * rowBytes, queries, rows, visible, D, scores);
      scoreBlock(valuePanels + head * padded * rowBytes, upstream, rows, visible, D, flows);
      hideKeys(scores, causal != 0 ? first + 1 + Tk - Tq : Tk, visible, causal, Tk, keyMask == 0 ? 0 : keyMask + (head / heads) * Tk);
      writeNumbers(stats + (row0 << 3), dout + block, out + block, rows, D, numbers);
      for (let i = 0; i < rows; i += 4) {
        const at = i << 2;
        if (key == 0) backwardColumns(scores + at, flows + at, visible, numbers + at);
        else {
          writeFactors(key, stream, row0 + i, Tk, visible, rate, kept, factors, factorBytes);
          backwardDroppedColumns(scores + at, flows + at, visible, numbers + at, factors, factorBytes);
        }
        mixRows(flows + at, k + keyBytes, min(visible, Tk), D, mixed + i * rowBytes);
      }
      scaleRun(dq + block, mixed, scale, rows * D);
      addBlock(flows, q + block, rows, D, dk + keyBytes, visible, Tk, spare);
      addBlock(scores, dout + block, rows, D, dv + keyBytes, visible, Tk, spare);
    }
    scaleRun(dk + keyBytes, dk + keyBytes, scale, Tk * D);
  }
}
