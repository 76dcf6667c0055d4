// attention and its gradient, a block of query rows at a time: never more than [blockRows, Tk] scores at once, in the scratch
// of the thread. The backward pass makes the probabilities again from lse (Dao et al. 2022, Algorithm 4) and the dropout mask
// from its key. D is a multiple of 8 here; anything else is left to the plain kernels.
import { addTransposed, mixRows, scoreTile } from './attention-tiles';
import { keptFactors } from './dropout';
import { dotRun, loadTail, scaleRun, storeTail } from './lanes';
import { expNegative4, log4 } from './math';
import { copyBytes, transposeTile } from './movement';
import { madd } from './simd';
import { maxOfRun } from './softmax';
import { threadScratch } from './thread';

/** Packs rows [heads, T, D] into panels [heads, ⌈T/8⌉, D, 8] of 8 rows side by side, zeros after the last. Items are panels. */
export function packPanels(begin: i32, end: i32, x: usize, panels: usize, T: i32, D: i32): void {
  const perHead = (T + 7) >> 3;
  const rowBytes = D << 2;
  for (let item = begin; item < end; item++) {
    const first = (item % perHead) << 3;
    const count = min(8, T - first);
    const from = x + ((item / perHead) * T + first) * rowBytes;
    const to = panels + item * (rowBytes << 3);
    if (count == 8) {
      for (let d = 0; d < rowBytes; d += 16) {
        transposeTile(from + d, rowBytes, to + (d << 3), 32);
        transposeTile(from + d + (rowBytes << 2), rowBytes, to + (d << 3) + 16, 32);
      }
      continue;
    }
    memory.fill(to, 0, rowBytes << 3);
    for (let row = 0; row < count; row++) {
      for (let d = 0; d < D; d++) store<f32>(to + (d << 5) + (row << 2), load<f32>(from + row * rowBytes + (d << 2)));
    }
  }
}

/** How many leading keys a query row sees. */
@inline
function limitOf(query: i32, causal: i32, Tq: i32, Tk: i32): i32 {
  return causal != 0 ? max(0, min(Tk, query + 1 + Tk - Tq)) : Tk;
}

/** 0 for a key that is seen, −∞ for another: added to scores. */
@inline
function writeMask(keyMask: usize, Tk: i32, to: usize): void {
  for (let j = 0; j < Tk; j++) store<f32>(to + (j << 2), load<u8>(keyMask + j) != 0 ? 0 : -Infinity);
}

/** Rows times `factor` into `to`, then rows of zeros up to a whole tile of four. */
@inline
function copyPadded(from: usize, rows: i32, D: i32, factor: f32, to: usize): void {
  scaleRun(to, from, factor, rows * D);
  memory.fill(to + ((rows * D) << 2), 0, ((((rows + 3) & ~3) - rows) * D) << 2);
}

/** scores [rows, stride] = rows [rows, D] · panels, for the panels of the first `visible` keys. */
@inline
function scoreBlock(block: usize, rows: i32, D: i32, panels: usize, visible: i32, scores: usize, scoreBytes: i32): void {
  const count = (visible + 7) >> 3;
  for (let panel = 0; panel < count; panel++) {
    const from = panels + panel * (D << 5);
    for (let row = 0; row < rows; row += 4) {
      scoreTile(block + row * (D << 2), D << 2, from, D, scores + row * scoreBytes + (panel << 5), scoreBytes);
    }
  }
}

@inline
function addToRun(to: usize, from: usize, count: i32): void {
  for (let i = 0; i < count; i += 4) v128.store(to + (i << 2), f32x4.add(v128.load(to + (i << 2)), v128.load(from + (i << 2))));
}

/** e^(scores − largest) in place, times `kept` if that is not 0; returns the sum before that. The rest of the row is zero. */
@inline
function expRow(scores: usize, limit: i32, padded: i32, largest: f32, kept: usize): f32 {
  const top = f32x4.splat(largest);
  let sum = f32x4.splat(0);
  for (let i = limit; i < padded; i++) store<f32>(scores + (i << 2), -Infinity);
  for (let i = 0; i < padded; i += 4) {
    const at = scores + (i << 2);
    const value = expNegative4(f32x4.sub(v128.load(at), top));
    sum = f32x4.add(sum, value);
    v128.store(at, kept == 0 ? value : f32x4.mul(value, v128.load(kept + (i << 2))));
  }
  return f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1) + (f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3));
}

/**
 * Items are blocks of `blockRows` query rows of each head. `panels` are those of k; `keyMask` and `key` may be 0; `kept` is
 * 1 / (1 − rate).
 */
export function attention(
  begin: i32, end: i32, q: usize, panels: usize, v: usize, keyMask: usize, key: usize, out: usize, lse: usize,
  heads: i32, Tq: i32, Tk: i32, D: i32, causal: i32, scale: f32, blockRows: i32, stream: i32, rate: f32, kept: f32,
): void {
  const blocks = (Tq + blockRows - 1) / blockRows;
  const stride = (Tk + 7) & ~7;
  const rowBytes = D << 2;
  const queries = threadScratch();
  const mixed = queries + blockRows * rowBytes;
  const mask = mixed + blockRows * rowBytes;
  const factors = mask + (stride << 2) + 64;
  const scores = factors + (stride << 2) + 64;
  for (let item = begin; item < end; item++) {
    const head = item / blocks;
    const first = (item % blocks) * blockRows;
    const rows = min(blockRows, Tq - first);
    const visible = limitOf(first + rows - 1, causal, Tq, Tk);
    const padded = (visible + 7) & ~7;
    const row0 = head * Tq + first;
    copyPadded(q + row0 * rowBytes, rows, D, scale, queries);
    scoreBlock(queries, rows, D, panels + head * stride * rowBytes, visible, scores, stride << 2);
    if (keyMask != 0) writeMask(keyMask + (head / heads) * Tk, visible, mask);
    for (let row = 0; row < rows; row++) {
      const at = scores + row * (stride << 2);
      const limit = limitOf(first + row, causal, Tq, Tk);
      if (keyMask != 0) addToRun(at, mask, (limit + 3) & ~3);
      const largest = maxOfRun(at, limit);
      const to = mixed + row * rowBytes; // holds 1 / Σ until the tile is mixed
      if (largest == -Infinity) {
        memory.fill(at, 0, padded << 2);
        store<f32>(lse + ((row0 + row) << 2), -Infinity);
        store<f32>(to, 0);
        continue;
      }
      if (key != 0) keptFactors(key, stream, (<u32>(row0 + row)) * <u32>Tk, visible, rate, kept, factors);
      const sum = expRow(at, limit, padded, largest, key == 0 ? 0 : factors);
      store<f32>(lse + ((row0 + row) << 2), largest + f32x4.extract_lane(log4(f32x4.splat(sum)), 0));
      store<f32>(to, <f32>1 / sum);
    }
    for (let row = 0; row < rows; row += 4) {
      const inverse0 = load<f32>(mixed + row * rowBytes);
      const inverse1 = load<f32>(mixed + (row + 1) * rowBytes);
      const inverse2 = load<f32>(mixed + (row + 2) * rowBytes);
      const inverse3 = load<f32>(mixed + (row + 3) * rowBytes);
      const from = mixed + row * rowBytes;
      const to = out + (row0 + row) * rowBytes;
      mixRows(scores + row * (stride << 2), stride << 2, v + head * Tk * rowBytes, visible, D, from, rowBytes);
      scaleRun(to, from, inverse0, D);
      if (row + 1 < rows) scaleRun(to + rowBytes, from + rowBytes, inverse1, D);
      if (row + 2 < rows) scaleRun(to + 2 * rowBytes, from + 2 * rowBytes, inverse2, D);
      if (row + 3 < rows) scaleRun(to + 3 * rowBytes, from + 3 * rowBytes, inverse3, D);
    }
  }
}

/** scores → kept probabilities, flows (gradients of those) → gradients of scale·q·k; zeros beyond what the row sees. */
@inline
function backwardRow(scores: usize, flows: usize, limit: i32, padded: i32, lse: f32, delta: f32, kept: usize): void {
  if (lse < -1e38) limit = 0;
  const logSum = f32x4.splat(lse);
  const deltas = f32x4.splat(delta);
  let i = 0;
  for (; i + 4 <= limit; i += 4) {
    const at = i << 2;
    const p = expNegative4(f32x4.sub(v128.load(scores + at), logSum));
    const factor = kept == 0 ? f32x4.splat(1) : v128.load(kept + at);
    v128.store(flows + at, f32x4.mul(p, f32x4.sub(f32x4.mul(v128.load(flows + at), factor), deltas)));
    v128.store(scores + at, f32x4.mul(p, factor));
  }
  const left = limit - i;
  if (left > 0) {
    const at = i << 2;
    const zero = f32x4.splat(0);
    const p = expNegative4(f32x4.sub(loadTail(scores + at, left, zero), logSum));
    const factor = kept == 0 ? f32x4.splat(1) : v128.load(kept + at);
    storeTail(flows + at, left, f32x4.mul(p, f32x4.sub(f32x4.mul(loadTail(flows + at, left, zero), factor), deltas)));
    storeTail(scores + at, left, f32x4.mul(p, factor));
  }
  memory.fill(scores + (limit << 2), 0, (padded - limit) << 2);
  memory.fill(flows + (limit << 2), 0, (padded - limit) << 2);
}

/** sums [Tk, D] += scoresᵀ · rows, for the first `visible` keys; `spare` holds the last, partial group of four. */
@inline
function addTransposedBlock(
  scores: usize, scoreBytes: i32, rows: usize, count: i32, D: i32, sums: usize, visible: i32, Tk: i32, spare: usize,
): void {
  const rowBytes = D << 2;
  for (let j = 0; j < visible; j += 4) {
    const to = sums + j * rowBytes;
    if (j + 4 <= Tk) {
      addTransposed(scores + (j << 2), scoreBytes, rows, count, D, to);
      continue;
    }
    const bytes = (Tk - j) * rowBytes;
    copyBytes(spare, to, bytes);
    memory.fill(spare + bytes, 0, 4 * rowBytes - bytes);
    addTransposed(scores + (j << 2), scoreBytes, rows, count, D, spare);
    copyBytes(to, spare, bytes);
  }
}

/** Items are heads, so that dk and dv have one writer. `keyPanels` and `valuePanels` are those of k and v. */
export function attentionGrad(
  begin: i32, end: i32, q: usize, k: usize, keyPanels: usize, valuePanels: usize, keyMask: usize, key: usize, out: usize, lse: usize,
  dout: usize, dq: usize, dk: usize, dv: usize,
  heads: i32, Tq: i32, Tk: i32, D: i32, causal: i32, scale: f32, blockRows: i32, stream: i32, rate: f32, kept: f32,
): void {
  const stride = (Tk + 7) & ~7;
  const rowBytes = D << 2;
  const scoreBytes = stride << 2;
  const queries = threadScratch();
  const upstream = queries + blockRows * rowBytes;
  const mixed = upstream + blockRows * rowBytes;
  const spare = mixed + blockRows * rowBytes;
  const mask = spare + 4 * rowBytes;
  const factors = mask + scoreBytes + 64;
  const scores = factors + scoreBytes + 64;
  const flows = scores + blockRows * scoreBytes;
  for (let head = begin; head < end; head++) {
    const keyRows = k + head * Tk * rowBytes;
    const keyGrad = dk + head * Tk * rowBytes;
    const valueGrad = dv + head * Tk * rowBytes;
    memory.fill(keyGrad, 0, Tk * rowBytes);
    memory.fill(valueGrad, 0, Tk * rowBytes);
    if (keyMask != 0) writeMask(keyMask + (head / heads) * Tk, Tk, mask);
    for (let first = 0; first < Tq; first += blockRows) {
      const rows = min(blockRows, Tq - first);
      const visible = limitOf(first + rows - 1, causal, Tq, Tk);
      const row0 = head * Tq + first;
      copyPadded(q + row0 * rowBytes, rows, D, scale, queries);
      copyPadded(dout + row0 * rowBytes, rows, D, 1, upstream);
      scoreBlock(queries, rows, D, keyPanels + head * stride * rowBytes, visible, scores, scoreBytes);
      scoreBlock(upstream, rows, D, valuePanels + head * stride * rowBytes, visible, flows, scoreBytes);
      for (let row = 0; row < rows; row++) {
        const at = row * scoreBytes;
        const limit = limitOf(first + row, causal, Tq, Tk);
        if (keyMask != 0) addToRun(scores + at, mask, (limit + 3) & ~3);
        if (key != 0) keptFactors(key, stream, (<u32>(row0 + row)) * <u32>Tk, visible, rate, kept, factors);
        const delta = dotRun(upstream + row * rowBytes, out + (row0 + row) * rowBytes, D);
        const logSum = load<f32>(lse + ((row0 + row) << 2));
        backwardRow(scores + at, flows + at, limit, (visible + 7) & ~7, logSum, delta, key == 0 ? 0 : factors);
      }
      for (let row = 0; row < rows; row += 4) {
        mixRows(flows + row * scoreBytes, scoreBytes, keyRows, visible, D, mixed + row * rowBytes, rowBytes);
      }
      scaleRun(dq + row0 * rowBytes, mixed, scale, rows * D);
      addTransposedBlock(flows, scoreBytes, queries, rows, D, keyGrad, visible, Tk, spare);
      addTransposedBlock(scores, scoreBytes, upstream, rows, D, valueGrad, visible, Tk, spare);
    }
  }
}
