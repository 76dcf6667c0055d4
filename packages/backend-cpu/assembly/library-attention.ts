// attention and its gradient where a library multiplies: blocks of query rows against all keys that they see, so that scores, and what flows
// back, are matrices in the thread's scratch that the library makes and reads. Rows of scores lie one per query. Without a library, and for few
// queries or keys, attention.ts computes the same in registers.
import { limitOf } from './attention';
import { keptFactors } from './dropout';
import { dotRun, maxLanes, scaleRun } from './lanes';
import { multiplyByLibrary } from './library';
import { expNegative4 } from './math';
import { sumLanes } from './simd';
import { threadScratch } from './thread';

/** The largest of no scores. */
const LOWEST: f32 = -3.4028234663852886e38;
/** What `keptFactors` writes before and beyond. */
const ROOM: usize = 64;

/** −∞ where a query does not see a key: beyond its limit, by the mask, and up to a whole vector after the last. */
@inline
function hideRow(row: usize, limit: i32, visible: i32, keyMask: usize): void {
  for (let j = limit; j < ((visible + 3) & ~3); j++) store<f32>(row + (j << 2), -Infinity);
  if (keyMask == 0) return;
  for (let j = 0; j < min(limit, visible); j++) {
    if (load<u8>(keyMask + j) == 0) store<f32>(row + (j << 2), -Infinity);
  }
}

/** Scores become e^(s − largest); the largest and 1 / Σ (0 of none) go to `stats`. */
@inline
function softmaxRow(row: usize, visible: i32, stats: usize): void {
  const last = row + (visible << 2);
  let top = f32x4.splat(LOWEST);
  for (let at = row; at < last; at += 16) top = f32x4.pmax(top, v128.load(at));
  const largest = maxLanes(top);
  top = f32x4.splat(largest);
  let sums = f32x4.splat(0);
  for (let at = row; at < last; at += 16) {
    const value = expNegative4(f32x4.sub(v128.load(at), top));
    v128.store(at, value);
    sums = f32x4.add(sums, value);
  }
  const sum = sumLanes(sums);
  store<f32>(stats, largest);
  store<f32>(stats, sum == 0 ? 0 : <f32>1 / sum, 4);
}

@inline
function multiplyRow(row: usize, factors: usize, count: i32): void {
  for (let at: usize = 0; at < <usize>count << 2; at += 16) v128.store(row + at, f32x4.mul(v128.load(row + at), v128.load(factors + at)));
}

/**
 * Items are blocks of `blockRows` query rows of each head. `keyMask` and `key` may be 0; `kept` is 1 / (1 − rate). Scratch: queries [blockRows,
 * D], a row of factors, scores [blockRows, Tk].
 */
export function attentionByLibrary(
  begin: i32, end: i32, q: usize, k: usize, v: usize, keyMask: usize, key: usize, out: usize, stats: usize, blockRows: i32,
  heads: i32, Tq: i32, Tk: i32, D: i32, causal: i32, scale: f32, stream: i32, rate: f32, kept: f32,
): void {
  const blocks = (Tq + blockRows - 1) / blockRows;
  const rowBytes = <usize>D << 2, stride = <usize>((Tk + 3) & ~3) << 2;
  const queries = threadScratch();
  const factors = queries + <usize>blockRows * rowBytes + ROOM;
  const scores = factors + stride + ROOM;
  for (let item = begin; item < end; item++) {
    const head = item / blocks, first = (item % blocks) * blockRows;
    const rows = min(blockRows, Tq - first);
    const row0 = head * Tq + first;
    const visible = limitOf(first + rows - 1, causal, Tq, Tk);
    const keys = <usize>head * <usize>Tk * rowBytes, block = <usize>row0 * rowBytes;
    const mask = keyMask == 0 ? 0 : keyMask + (head / heads) * Tk;
    scaleRun(queries, q + block, scale, rows * D);
    if (visible > 0) multiplyByLibrary(rows, visible, D, queries, rowBytes, false, k + keys, rowBytes, true, scores, stride, false);
    for (let i = 0; i < rows; i++) {
      const row = scores + <usize>i * stride;
      hideRow(row, limitOf(first + i, causal, Tq, Tk), visible, mask);
      softmaxRow(row, visible, stats + ((row0 + i) << 3));
      if (key == 0) continue;
      keptFactors(key, stream, <u64>(row0 + i) * <u64>Tk, visible, rate, kept, factors);
      multiplyRow(row, factors, visible);
    }
    if (visible > 0) multiplyByLibrary(rows, D, visible, scores, stride, false, v + keys, rowBytes, false, out + block, rowBytes, false);
    else memory.fill(out + block, 0, <usize>rows * rowBytes);
    for (let i = 0; i < rows; i++) {
      const row = out + block + <usize>i * rowBytes;
      scaleRun(row, row, load<f32>(stats + ((row0 + i) << 3), 4), D);
    }
  }
}

/** One query: scores → kept probabilities, flows (gradients of those) → gradients of scale·q·k. `factors` may be 0. */
@inline
function backwardRow(scores: usize, flows: usize, visible: i32, stats: usize, delta: f32, factors: usize): void {
  const top = v128.load32_splat(stats), inverse = v128.load32_splat(stats, 4), deltas = f32x4.splat(delta);
  for (let at: usize = 0; at < <usize>visible << 2; at += 16) {
    const p = f32x4.mul(expNegative4(f32x4.sub(v128.load(scores + at), top)), inverse);
    const flow = v128.load(flows + at);
    if (factors == 0) {
      v128.store(flows + at, f32x4.mul(p, f32x4.sub(flow, deltas)));
      v128.store(scores + at, p);
    } else {
      const factor = v128.load(factors + at);
      v128.store(flows + at, f32x4.mul(p, f32x4.sub(f32x4.mul(flow, factor), deltas)));
      v128.store(scores + at, f32x4.mul(p, factor));
    }
  }
}

/** Items are heads, so that dk and dv have one writer. Scratch as in `attentionByLibrary`, and flows as large as scores. */
export function attentionGradByLibrary(
  begin: i32, end: i32, q: usize, k: usize, v: usize, keyMask: usize, key: usize, out: usize, stats: usize, dout: usize,
  dq: usize, dk: usize, dv: usize, blockRows: i32,
  heads: i32, Tq: i32, Tk: i32, D: i32, causal: i32, scale: f32, stream: i32, rate: f32, kept: f32,
): void {
  const rowBytes = <usize>D << 2, stride = <usize>((Tk + 3) & ~3) << 2;
  const queries = threadScratch();
  const factors = queries + <usize>blockRows * rowBytes + ROOM;
  const scores = factors + stride + ROOM, flows = scores + <usize>blockRows * stride;
  for (let head = begin; head < end; head++) {
    const keys = <usize>head * <usize>Tk * rowBytes;
    const mask = keyMask == 0 ? 0 : keyMask + (head / heads) * Tk;
    memory.fill(dk + keys, 0, <usize>Tk * rowBytes);
    memory.fill(dv + keys, 0, <usize>Tk * rowBytes);
    for (let first = 0; first < Tq; first += blockRows) {
      const rows = min(blockRows, Tq - first);
      const row0 = head * Tq + first;
      const block = <usize>row0 * rowBytes;
      const visible = limitOf(first + rows - 1, causal, Tq, Tk);
      if (visible === 0) {
        memory.fill(dq + block, 0, <usize>rows * rowBytes);
        continue;
      }
      scaleRun(queries, q + block, scale, rows * D);
      multiplyByLibrary(rows, visible, D, queries, rowBytes, false, k + keys, rowBytes, true, scores, stride, false);
      multiplyByLibrary(rows, visible, D, dout + block, rowBytes, false, v + keys, rowBytes, true, flows, stride, false);
      for (let i = 0; i < rows; i++) {
        const row = scores + <usize>i * stride, at = block + <usize>i * rowBytes;
        hideRow(row, limitOf(first + i, causal, Tq, Tk), visible, mask);
        if (key != 0) keptFactors(key, stream, <u64>(row0 + i) * <u64>Tk, visible, rate, kept, factors);
        backwardRow(row, flows + <usize>i * stride, visible, stats + ((row0 + i) << 3), dotRun(dout + at, out + at, D), key == 0 ? 0 : factors);
      }
      multiplyByLibrary(rows, D, visible, flows, stride, false, k + keys, rowBytes, false, dq + block, rowBytes, false);
      scaleRun(dq + block, dq + block, scale, rows * D);
      multiplyByLibrary(visible, D, rows, flows, stride, true, queries, rowBytes, false, dk + keys, rowBytes, true);
      multiplyByLibrary(visible, D, rows, scores, stride, true, dout + block, rowBytes, false, dv + keys, rowBytes, true);
    }
  }
}
