// The products of picked rows where a library multiplies: pieces of the rows are gathered into the thread's scratch, which the library then
// reads from the cache. What already lies in rows is read in place. Without a library gemm-pick.ts gathers while it packs.
import { addRun, scaleRun } from './lanes';
import { multiplyByLibrary } from './library';
import { copyBytes } from './movement';
import { threadScratch } from './thread';

/** Floats that are gathered at once of each operand: both fit the scratch of a thread. */
const GATHERED: i32 = 131072;

/** Of a sum over K, how many terms at once: even slices whose rows of `width` are at most GATHERED. Depends on the shape alone. */
@inline
function sliceOf(K: i32, width: i32): i32 {
  const most = max(1, GATHERED / width);
  const parts = (K + most - 1) / most;
  return (K + parts - 1) / parts;
}

/** Whether rows first … first + count − 1 are all there, one after the other. */
@inline
function lieInRows(indices: usize, first: i32, count: i32, limit: i32): bool {
  return indices == 0 && first + count <= limit;
}

/**
 * `width` floats, from `offset` bytes on, of each of `count` picked rows (see pickRows), one after the other; zeros for a row that is not
 * there. With `scales` each times its own factor.
 */
export function gather(
  to: usize, count: i32, width: i32, base: usize, stride: usize, offset: usize, indices: usize, first: i32, limit: i32, scales: usize,
): void {
  const bytes = width << 2;
  for (let i = 0; i < count; i++, to += bytes) {
    const at = <usize>(first + i) << 2;
    const row = indices == 0 ? first + i : load<i32>(indices + at);
    if (<u32>row >= <u32>limit) memory.fill(to, 0, bytes);
    else if (scales == 0) copyBytes(to, base + <usize>row * stride + offset, bytes);
    else scaleRun(to, base + <usize>row * stride + offset, load<f32>(scales + at), width);
  }
}

/** As multiplyPicked; K > 0. */
export function multiplyGathered(
  rows: i32, columns: i32, K: i32, a: usize, strideA: usize, indices: usize, first: i32, limit: i32,
  b: usize, strideB: usize, transposeB: bool, out: usize, strideOut: usize,
): void {
  if (lieInRows(indices, first, rows, limit)) {
    return multiplyByLibrary(rows, columns, K, a + <usize>first * strideA, strideA, false, b, strideB, transposeB, out, strideOut, false);
  }
  const scratch = threadScratch();
  const depth = sliceOf(K, rows);
  for (let k = 0; k < K; k += depth) {
    const width = min(depth, K - k);
    gather(scratch, rows, width, a, strideA, <usize>k << 2, indices, first, limit, 0);
    multiplyByLibrary(
      rows, columns, width, scratch, <usize>width << 2, false, b + (transposeB ? <usize>k << 2 : <usize>k * strideB), strideB, transposeB,
      out, strideOut, k > 0,
    );
  }
}

/** As multiplyOuter; count > 0. */
export function multiplyOuterGathered(
  lines: i32, columns: i32, count: i32, first: i32, a: usize, strideA: usize, indicesA: usize, limitA: i32,
  b: usize, strideB: usize, indicesB: usize, limitB: i32, scales: usize, out: usize, strideOut: usize, sums: usize,
  accumulate: bool,
): void {
  const aLies = lieInRows(indicesA, first, count, limitA), bLies = scales == 0 && lieInRows(indicesB, first, count, limitB);
  const gatheredA = threadScratch(), gatheredB = gatheredA + (<usize>GATHERED << 2);
  const depth = aLies && bLies ? count : sliceOf(count, max(lines, columns));
  if (sums !== 0 && !accumulate) memory.fill(sums, 0, <usize>columns << 2);
  for (let k = 0; k < count; k += depth) {
    const height = min(depth, count - k), row = first + k;
    let fromA = a + <usize>row * strideA, stepA = strideA, fromB = b + <usize>row * strideB, stepB = strideB;
    if (!aLies) {
      fromA = gatheredA;
      stepA = <usize>lines << 2;
      gather(fromA, height, lines, a, strideA, 0, indicesA, row, limitA, 0);
    }
    if (!bLies) {
      fromB = gatheredB;
      stepB = <usize>columns << 2;
      gather(fromB, height, columns, b, strideB, 0, indicesB, row, limitB, scales);
    }
    multiplyByLibrary(lines, columns, height, fromA, stepA, true, fromB, stepB, false, out, strideOut, accumulate || k > 0);
    if (sums !== 0) sumRows(fromB, stepB, height, columns, sums);
  }
}

/** sums [columns] += the rows, in ascending order. */
function sumRows(from: usize, stride: usize, rows: i32, columns: i32, sums: usize): void {
  for (let i = 0; i < rows; i++, from += stride) addRun(sums, from, columns);
}
