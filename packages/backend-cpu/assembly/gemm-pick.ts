// Matrix products of rows that are picked one by one, by a table of their addresses: what gather on load is. Rows that are not
// there point at zeros. Blocks, slices and tiles are those of gemm-block.ts.
import { DEPTH, clearBlock, depthOf, liesWell, multiplyPanels, scratchOfA, scratchOfB } from './gemm-block';
import { clearLastStep, evenSteps, packAcross, packAlong, panelBytes, placeOf, transposeFour } from './gemm-pack';
import { multiplyFew } from './gemm-few';
import { TILE_COLUMNS, TILE_ROWS } from './gemm-tile';
import { loadTail, storeTail } from './lanes';
import { byLibrary, rowsByLibrary } from './library';
import { multiplyGathered, multiplyOuterGathered } from './library-pick';

/** A table of addresses, or of factors, for every step of K or every row of a block. */
export const TABLE_BYTES: usize = <usize>(DEPTH + 4) << 2;

/** Behind both packed parts; three tables. */
@inline
export function tables(): usize {
  return scratchOfA(DEPTH) + panelBytes(DEPTH, TILE_ROWS) * 64;
}

/**
 * The addresses of `count` rows and, up to a multiple of four, of `zeros`: row `first` + i, or the one that indices[first + i]
 * names, of the `limit` rows that lie `stride` bytes apart from `base` on.
 */
export function pickRows(table: usize, count: i32, base: usize, stride: usize, indices: usize, first: i32, limit: i32, zeros: usize): void {
  for (let i = 0; i < count; i++) {
    const row = indices == 0 ? first + i : load<i32>(indices + (<usize>(first + i) << 2));
    store<usize>(table + (<usize>i << 2), <u32>row < <u32>limit ? base + <usize>row * stride : zeros);
  }
  for (let i = count; (i & 3) !== 0; i++) store<usize>(table + (<usize>i << 2), zeros);
}

/** The factor of each picked row: scales[first + i], or 1 without; 0 for a row of zeros. */
export function pickScales(factors: usize, count: i32, table: usize, scales: usize, first: i32, zeros: usize): void {
  for (let i = 0; i < count; i++) {
    const isThere = load<usize>(table + (<usize>i << 2)) !== zeros;
    const factor: f32 = scales == 0 ? 1 : load<f32>(scales + (<usize>(first + i) << 2));
    store<f32>(factors + (<usize>i << 2), isThere ? factor : 0);
  }
}

/**
 * out [rows, columns] = the rows that pickRows finds · B, which is as in multiplyBlock. `zeros` is K zeros; rows ≤ BLOCK_ROWS.
 */
export function multiplyPicked(
  rows: i32, columns: i32, K: i32, a: usize, strideA: usize, indices: usize, first: i32, limit: i32, zeros: usize,
  b: usize, strideB: usize, transposeB: bool, out: usize, strideOut: usize,
): void {
  if (K === 0) return clearBlock(rows, columns, out, strideOut);
  if (rowsByLibrary(rows, columns, K, transposeB)) return multiplyGathered(rows, columns, K, a, strideA, indices, first, limit, b, strideB, transposeB, out, strideOut);
  const table = tables();
  pickRows(table, rows, a, strideA, indices, first, limit, zeros);
  if (rows === 1) return multiplyFew(1, columns, K, load<usize>(table), 0, 4, b, strideB, transposeB, out, strideOut);
  const depth = depthOf(K);
  for (let k = 0; k < K; k += depth) {
    const height = min(depth, K - k);
    let panels = b + (transposeB ? <usize>k << 2 : <usize>k * strideB), stepB = strideB, advanceB: usize = TILE_COLUMNS << 2;
    if (transposeB || !liesWell(height, strideB, columns % TILE_COLUMNS, rows)) {
      const packedB = scratchOfB();
      if (transposeB) packAlong(panels, strideB, height, columns, TILE_COLUMNS, packedB);
      else packAcross(panels, strideB, height, columns, TILE_COLUMNS, packedB);
      panels = packedB;
      stepB = TILE_COLUMNS << 2;
      advanceB = panelBytes(height, TILE_COLUMNS);
    }
    const packedA = scratchOfA(height);
    packAlongPicked(table, <usize>k << 2, height, rows, packedA);
    multiplyPanels(
      rows, columns, evenSteps(height), packedA, TILE_ROWS << 2, panelBytes(height, TILE_ROWS), panels, stepB, advanceB,
      out, strideOut, k > 0,
    );
  }
}

/**
 * out [lines, columns] = Σ_i scale · a[i]ᵀ·b[i], or added to what is there, over `count` rows that are picked from `first` on as pickRows does, by indicesA and
 * indicesB, and sums [columns] (0: not wanted) = Σ_i scale · b[i], likewise. a and b point at the first of their lines or columns.
 */
export function multiplyOuter(
  lines: i32, columns: i32, count: i32, first: i32, zeros: usize, a: usize, strideA: usize, indicesA: usize, limitA: i32,
  b: usize, strideB: usize, indicesB: usize, limitB: i32, scales: usize, out: usize, strideOut: usize, sums: usize, accumulate: bool,
): void {
  if (count === 0) {
    if (accumulate) return;
    if (sums !== 0) memory.fill(sums, 0, <usize>columns << 2);
    return clearBlock(lines, columns, out, strideOut);
  }
  if (byLibrary(lines, columns, count)) {
    return multiplyOuterGathered(
      lines, columns, count, first, a, strideA, indicesA, limitA, b, strideB, indicesB, limitB, scales, out, strideOut, sums, accumulate,
    );
  }
  const picked = tables(), factors = picked + TABLE_BYTES;
  const depth = depthOf(count);
  for (let k = 0; k < count; k += depth) {
    const height = min(depth, count - k);
    const packedB = scratchOfB(), packedA = scratchOfA(height);
    pickRows(picked, height, b, strideB, indicesB, first + k, limitB, zeros);
    pickScales(factors, height, picked, scales, first + k, zeros);
    packAcrossPicked(picked, factors, height, columns, TILE_COLUMNS, packedB);
    if (sums !== 0) sumPanels(packedB, height, columns, sums, accumulate || k > 0);
    pickRows(picked, height, a, strideA, indicesA, first + k, limitA, zeros);
    packAcrossPicked(picked, 0, height, lines, TILE_ROWS, packedA);
    multiplyPanels(
      lines, columns, evenSteps(height), packedA, TILE_ROWS << 2, panelBytes(height, TILE_ROWS),
      packedB, TILE_COLUMNS << 2, panelBytes(height, TILE_COLUMNS), out, strideOut, accumulate || k > 0,
    );
  }
}

/** As packAlong with panels of TILE_ROWS lines, from `offset` bytes into each picked line. */
function packAlongPicked(picked: usize, offset: usize, K: i32, lines: i32, target: usize): void {
  for (let line = 0; line < lines; line += 4) {
    const entry = picked + (<usize>line << 2);
    transposeFour(
      load<usize>(entry) + offset, load<usize>(entry, 4) + offset, load<usize>(entry, 8) + offset, load<usize>(entry, 12) + offset,
      K, placeOf(line, K, TILE_ROWS, target), TILE_ROWS << 2,
    );
  }
  if (K & 1) clearLastStep(K, lines, TILE_ROWS, target);
}

/** As packAcross, of picked rows times their factors (0: without). */
function packAcrossPicked(picked: usize, factors: usize, K: i32, lines: i32, width: i32, target: usize): void {
  const step = <usize>width << 2;
  const whole = lines & ~3;
  let line = 0;
  for (; line + 16 <= whole; line += 16) {
    copySixteen(
      picked, factors, <usize>line << 2, K, step,
      placeOf(line, K, width, target), placeOf(line + 4, K, width, target),
      placeOf(line + 8, K, width, target), placeOf(line + 12, K, width, target),
    );
  }
  for (; line < whole; line += 4) {
    let to = placeOf(line, K, width, target);
    for (let k: usize = 0; k < <usize>K << 2; k += 4, to += step) {
      const from = v128.load(load<usize>(picked + k) + (<usize>line << 2));
      v128.store(to, factors == 0 ? from : f32x4.mul(from, v128.load32_splat(factors + k)));
    }
  }
  for (; line % width !== 0 || line < lines; line++) {
    let to = placeOf(line, K, width, target);
    for (let k: usize = 0; k < <usize>K << 2; k += 4, to += step) {
      const value: f32 = line < lines ? load<f32>(load<usize>(picked + k) + (<usize>line << 2)) : 0;
      store<f32>(to, factors == 0 ? value : value * load<f32>(factors + k));
    }
  }
  if (K & 1) clearLastStep(K, lines, width, target);
}

function copySixteen(
  picked: usize, factors: usize, offset: usize, K: i32, step: usize, to0: usize, to1: usize, to2: usize, to3: usize,
): void {
  const end = picked + (<usize>K << 2);
  if (factors == 0) {
    for (; picked !== end; picked += 4) {
      const from = load<usize>(picked) + offset;
      const x0 = v128.load(from), x1 = v128.load(from, 16), x2 = v128.load(from, 32), x3 = v128.load(from, 48);
      v128.store(to0, x0);
      v128.store(to1, x1);
      v128.store(to2, x2);
      v128.store(to3, x3);
      to0 += step; to1 += step; to2 += step; to3 += step;
    }
    return;
  }
  for (; picked !== end; picked += 4, factors += 4) {
    const from = load<usize>(picked) + offset;
    const factor = v128.load32_splat(factors);
    const x0 = v128.load(from), x1 = v128.load(from, 16), x2 = v128.load(from, 32), x3 = v128.load(from, 48);
    v128.store(to0, f32x4.mul(x0, factor));
    v128.store(to1, f32x4.mul(x1, factor));
    v128.store(to2, f32x4.mul(x2, factor));
    v128.store(to3, f32x4.mul(x3, factor));
    to0 += step; to1 += step; to2 += step; to3 += step;
  }
}

/** sums [columns] = Σ over the K steps of packed panels of B, or of what is there and these: one after another, so that the bits are those of any cut into slices. */
function sumPanels(panels: usize, K: i32, columns: i32, sums: usize, accumulate: bool): void {
  for (let column = 0; column < columns; column += 4) {
    let from = placeOf(column, K, TILE_COLUMNS, panels);
    const to = sums + (<usize>column << 2);
    const count = min(4, columns - column);
    let sum = f32x4.splat(0);
    if (accumulate) sum = count === 4 ? v128.load(to) : loadTail(to, count, sum);
    for (let k = K; k > 0; k--, from += TILE_COLUMNS << 2) sum = f32x4.add(sum, v128.load(from));
    if (count === 4) v128.store(to, sum);
    else storeTail(to, count, sum);
  }
}
