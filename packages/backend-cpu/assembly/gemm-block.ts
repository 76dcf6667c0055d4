// One block of a matrix product, on one thread: cuts K, packs what does not already lie well, and runs tiles over the rest.
// Every sum runs in ascending k and goes on where the last slice of K ended: an element does not depend on the block it is in.
import { SPILL_BYTES, multiplyEdge } from './gemm-edge';
import { evenSteps, packAcross, packAlong, panelBytes } from './gemm-pack';
import { multiplyFew } from './gemm-few';
import { TILE_COLUMNS, TILE_ROWS, multiplyTile } from './gemm-tile';
import { multiplyByLibrary, rowsByLibrary } from './library';
import { threadScratch } from './thread';

/** Steps of K at once: a panel of B (12 KiB) stays in the first-level cache while panels of A pass. */
export const DEPTH: i32 = 384;
/** Limit of the columns of a block, as 256 is of its rows: the packed parts, 386 KiB of B and 388 KiB of A, fit the second-level cache and the thread's scratch. */
const BLOCK_COLUMNS: i32 = 256;
/** Operands that fit the first-level cache as they lie are not packed. */
const SMALL_BYTES: usize = 16384;
/** Below this many rows, packing B costs more than it saves. */
const FEW_ROWS: i32 = 8;

/**
 * out [rows, columns] = A · B, or added to what is there. A is row-major [rows, K], or [K, rows] when transposeA; B [K, columns], or [columns, K]
 * when transposeB. Strides are between rows as stored, in bytes. rows ≤ BLOCK_ROWS, columns ≤ BLOCK_COLUMNS, but for what a library multiplies
 * and for a single row.
 */
export function multiplyBlock(
  rows: i32, columns: i32, K: i32,
  a: usize, strideA: usize, transposeA: bool, b: usize, strideB: usize, transposeB: bool,
  out: usize, strideOut: usize, accumulate: bool,
): void {
  if (K === 0) {
    if (!accumulate) clearBlock(rows, columns, out, strideOut);
    return;
  }
  if (rowsByLibrary(rows, columns, K, transposeB)) return multiplyByLibrary(rows, columns, K, a, strideA, transposeA, b, strideB, transposeB, out, strideOut, accumulate);
  if (rows === 1 && !accumulate) return multiplyFew(1, columns, K, a, 0, transposeA ? strideA : 4, b, strideB, transposeB, out, strideOut);
  const depth = depthOf(K);
  for (let k = 0; k < K; k += depth) {
    const height = min(depth, K - k);
    const fromA = a + (transposeA ? <usize>k * strideA : <usize>k << 2);
    const fromB = b + (transposeB ? <usize>k << 2 : <usize>k * strideB);
    multiplySlice(rows, columns, height, fromA, strideA, transposeA, fromB, strideB, transposeB, out, strideOut, accumulate || k > 0);
  }
}

/** Into which slices K is cut: even ones of whole fours, at most DEPTH. */
export function depthOf(K: i32): i32 {
  const parts = (K + DEPTH - 1) / DEPTH;
  return ((K + parts - 1) / parts + 3) & ~3;
}

/** Where a thread packs its part of B. */
@inline
export function scratchOfB(): usize {
  return threadScratch() + SPILL_BYTES;
}

/** Where a thread packs its part of A, beside one of B of K steps. */
@inline
export function scratchOfA(K: i32): usize {
  return scratchOfB() + panelBytes(K, TILE_COLUMNS) * <usize>(BLOCK_COLUMNS / TILE_COLUMNS);
}

function multiplySlice(
  rows: i32, columns: i32, K: i32,
  a: usize, strideA: usize, transposeA: bool, b: usize, strideB: usize, transposeB: bool,
  out: usize, strideOut: usize, accumulate: bool,
): void {
  const packedB = scratchOfB();
  const panelB = panelBytes(K, TILE_COLUMNS);
  let stepB = strideB, advanceB: usize = TILE_COLUMNS << 2;
  if (transposeB || !liesWell(K, strideB, columns % TILE_COLUMNS, rows)) {
    if (transposeB) packAlong(b, strideB, K, columns, TILE_COLUMNS, packedB);
    else packAcross(b, strideB, K, columns, TILE_COLUMNS, packedB);
    b = packedB;
    stepB = TILE_COLUMNS << 2;
    advanceB = panelB;
  }
  const packedA = scratchOfA(K);
  let stepA = strideA, advanceA: usize = TILE_ROWS << 2;
  if (!transposeA || !liesWell(K, strideA, rows % TILE_ROWS, columns)) {
    if (transposeA) packAcross(a, strideA, K, rows, TILE_ROWS, packedA);
    else packAlong(a, strideA, K, rows, TILE_ROWS, packedA);
    a = packedA;
    stepA = TILE_ROWS << 2;
    advanceA = panelBytes(K, TILE_ROWS);
  }
  multiplyPanels(rows, columns, evenSteps(K), a, stepA, advanceA, b, stepB, advanceB, out, strideOut, accumulate);
}

/** All tiles. Where B stays in the first-level cache, A and out pass once; else a panel of B stays and A passes for each. */
export function multiplyPanels(
  rows: i32, columns: i32, K: i32, a: usize, stepA: usize, advanceA: usize, b: usize, stepB: usize, advanceB: usize,
  out: usize, strideOut: usize, accumulate: bool,
): void {
  const wholeRows = rows & ~(TILE_ROWS - 1), wholeColumns = columns & ~(TILE_COLUMNS - 1);
  const downOut = strideOut * TILE_ROWS;
  if (stepB * <usize>K + advanceB * <usize>(columns / TILE_COLUMNS) <= SMALL_BYTES) {
    let tileA = a, rowOut = out;
    for (let i = 0; i < wholeRows; i += TILE_ROWS) {
      let tileB = b, tileOut = rowOut;
      for (let j = 0; j < wholeColumns; j += TILE_COLUMNS) {
        multiplyTile(K, tileA, stepA, tileB, stepB, tileOut, strideOut, accumulate);
        tileB += advanceB;
        tileOut += TILE_COLUMNS << 2;
      }
      tileA += advanceA;
      rowOut += downOut;
    }
  } else {
    let tileB = b, columnOut = out;
    for (let j = 0; j < wholeColumns; j += TILE_COLUMNS) {
      let tileA = a, tileOut = columnOut;
      for (let i = 0; i < wholeRows; i += TILE_ROWS) {
        multiplyTile(K, tileA, stepA, tileB, stepB, tileOut, strideOut, accumulate);
        tileA += advanceA;
        tileOut += downOut;
      }
      tileB += advanceB;
      columnOut += TILE_COLUMNS << 2;
    }
  }
  if (wholeRows !== rows || wholeColumns !== columns) {
    multiplyEdges(rows, columns, K, a, stepA, advanceA, b, stepB, advanceB, out, strideOut, accumulate);
  }
}

/** The tiles of the last row and column that are not whole. */
function multiplyEdges(
  rows: i32, columns: i32, K: i32, a: usize, stepA: usize, advanceA: usize, b: usize, stepB: usize, advanceB: usize,
  out: usize, strideOut: usize, accumulate: bool,
): void {
  const spill = threadScratch();
  for (let i = 0; i < rows; i += TILE_ROWS) {
    const height = min(TILE_ROWS, rows - i);
    let tileB = b, tileOut = out;
    for (let j = 0; j < columns; j += TILE_COLUMNS) {
      const width = min(TILE_COLUMNS, columns - j);
      if (height < TILE_ROWS || width < TILE_COLUMNS) {
        multiplyEdge(K, a, stepA, tileB, stepB, tileOut, strideOut, accumulate, height, width, spill);
      }
      tileB += advanceB;
      tileOut += TILE_COLUMNS << 2;
    }
    a += advanceA;
    out += strideOut * TILE_ROWS;
  }
}

/** Whether a k-major operand is read in place: whole tiles, and small or read by few. */
@inline
export function liesWell(K: i32, stride: usize, remainder: i32, readers: i32): bool {
  return remainder === 0 && (K & 1) === 0 && (<usize>K * stride <= SMALL_BYTES || readers <= FEW_ROWS);
}

export function clearBlock(rows: i32, columns: i32, out: usize, strideOut: usize): void {
  for (let i = 0; i < rows; i++) {
    memory.fill(out, 0, <usize>columns << 2);
    out += strideOut;
  }
}
