// expertsForward and expertsBackward: all products of a block of rows of one expert one after the other, a block of hidden units at a time, so
// that what passes between them stays in the second-level cache. Which rows and units a block has is decided by
// src/engine/kernels/experts.ts. Where a library multiplies, picked rows are gathered once for all products; the compiled ones gather as they pack.
import { GELU_ERF, GELU_TANH, RELU, activateRows } from './activation';
import { slopeErf, slopeNone, slopeRelu, slopeTanh } from './experts';
import { multiplyBlock } from './gemm-block';
import { NARROW, multiplyPickedNarrow } from './gemm-narrow';
import { multiplyOuterNarrow } from './gemm-narrow-outer';
import { multiplyOuter, multiplyPicked } from './gemm-pick';
import { addRun, dotRun, scaleRun } from './lanes';
import { hasLibrary } from './library';
import { gather } from './library-pick';
import { copyBytes } from './movement';
import { madd } from './simd';
import { threadIndex } from './thread';

/** Sides of the blocks of the compiled products, see gemm-block.ts. */
const MOST_COLUMNS: i32 = 256;

/** Whether a library multiplies the rows of experts of S hidden units: it gains nothing where they are narrow. */
@inline
function librarySuits(S: i32): bool {
  return hasLibrary() && S > NARROW;
}

/** How many columns go to one product: all to a library. */
@inline
function columnsAtOnce(columns: i32, library: bool): i32 {
  return library ? max(1, columns) : MOST_COLUMNS;
}

/** multiplyPicked, or what is quicker for experts of S hidden units. */
function multiplyRows(
  S: i32, rows: i32, columns: i32, K: i32, a: usize, strideA: usize, indices: usize, first: i32, limit: i32, zeros: usize,
  b: usize, strideB: usize, transposeB: bool, out: usize, strideOut: usize,
): void {
  if (S <= NARROW) multiplyPickedNarrow(rows, columns, K, a, strideA, indices, first, limit, zeros, b, strideB, transposeB, out, strideOut);
  else multiplyPicked(rows, columns, K, a, strideA, indices, first, limit, zeros, b, strideB, transposeB, out, strideOut);
}

/** multiplyOuter, or what is quicker for experts of S hidden units. */
function sumOuter(
  S: i32, lines: i32, columns: i32, count: i32, first: i32, zeros: usize, a: usize, strideA: usize, indicesA: usize, limitA: i32,
  b: usize, strideB: usize, indicesB: usize, limitB: i32, scales: usize, out: usize, strideOut: usize, sums: usize, accumulate: bool,
): void {
  if (S <= NARROW) multiplyOuterNarrow(lines, columns, count, first, zeros, a, strideA, indicesA, limitA, b, strideB, indicesB, limitB, scales, out, strideOut, sums, accumulate);
  else multiplyOuter(lines, columns, count, first, zeros, a, strideA, indicesA, limitA, b, strideB, indicesB, limitB, scales, out, strideOut, sums, accumulate);
}

/** As multiplyBlock, of any number of columns and dense rows of A. */
function multiplyAll(
  S: i32, rows: i32, columns: i32, K: i32, a: usize, strideA: usize, b: usize, strideB: usize, transposeB: bool, out: usize, strideOut: usize, accumulate: bool,
): void {
  const most = columnsAtOnce(columns, librarySuits(S) && rows > 1); // no library adds a single row
  for (let j = 0; j < columns; j += most) {
    const width = min(most, columns - j), from = b + (transposeB ? <usize>j * strideB : <usize>j << 2), to = out + (<usize>j << 2);
    if (S <= NARROW) multiplyPickedNarrow(rows, width, K, a, strideA, 0, 0, rows, 0, from, strideB, transposeB, to, strideOut); // never accumulated: all units are one block
    else multiplyBlock(rows, width, K, a, strideA, false, from, strideB, transposeB, to, strideOut, accumulate);
  }
}

/**
 * Rows of x [T, D] by rowToken, through w1 [N, D, S], b1, activation, w2 [N, S, D] and b2 → out [R, D]. pre [R, S], what goes into the activation,
 * and hidden [R, S], what comes out of it, may be 0. `blocks` as in groupedLinear; items are row blocks of at most blockRows rows. `scratch` has a
 * region of blockRows·(D + unitBlock) floats for each thread; `zeros` is D zeros.
 */
export function expertsForward(
  begin: i32, end: i32, x: usize, T: i32, rowToken: usize, zeros: usize, w1: usize, b1: usize, w2: usize, b2: usize, out: usize, pre: usize, hidden: usize,
  blocks: usize, scratch: usize, blockRows: i32, unitBlock: i32, D: i32, S: i32, kind: i32,
): void {
  const strideD = <usize>D << 2, strideS = <usize>S << 2, matrix = <usize>D * strideS;
  const gathered = scratch + threadIndex() * (<usize>blockRows * <usize>(D + unitBlock) << 2);
  const units = gathered + <usize>blockRows * strideD;
  for (let item = begin; item < end; item++) {
    const entry = blocks + <usize>item * 12;
    const group = <usize>load<i32>(entry), first = load<i32>(entry, 4), rows = load<i32>(entry, 8);
    let from = x, indices = rowToken, start = first, limit = T;
    if (librarySuits(S)) {
      gather(gathered, rows, D, x, strideD, 0, rowToken, first, T, 0);
      from = gathered;
      indices = 0;
      start = 0;
      limit = rows;
    }
    const picked = rowToken + (<usize>first << 2);
    const to = out + <usize>first * strideD;
    // A single row has room for many units, and is quicker in one go.
    const most = rows === 1 ? blockRows * unitBlock : unitBlock;
    for (let s = 0; s < S; s += most) {
      const width = min(most, S - s);
      const column = <usize>s << 2, stride = <usize>width << 2, place = <usize>first * strideS + column;
      multiplyRows(S, rows, width, D, from, strideD, indices, start, limit, zeros, w1 + group * matrix + column, strideS, false, units, stride);
      activateRows(kind, rows, width, picked, T, b1 + group * strideS + column, units, stride, pre == 0 ? 0 : pre + place, strideS);
      if (hidden !== 0) for (let i: usize = 0; i < <usize>rows; i++) copyBytes(hidden + place + i * strideS, units + i * stride, <i32>stride);
      multiplyAll(S, rows, D, width, units, stride, w2 + group * matrix + <usize>s * strideD, strideD, false, to, strideD, s > 0);
    }
    activateRows(0, rows, D, picked, T, b2 + group * strideD, to, strideD, 0, 0);
  }
}

/** One expert in its backward pass: its matrices and gradients, or 0 for a gradient that nobody wants. */
let w1: usize, w2: usize, b2: usize, dw1: usize, db1: usize, dw2: usize, db2: usize;

/**
 * Items are experts; `bounds` holds two int32 for each, its first row and the one after its last. With u = dy[rowToken]·w2ᵀ and the weight of each row's
 * claim: rowGradients [R, D] = (u ∘ activation'(pre))·w1ᵀ, dWeights[claim] = activation(pre)·u + b2·dy, and the gradients of all weights. Outputs may be 0: not
 * wanted. `scratch` has a region of 2·blockRows·(D + unitBlock + 2) floats for each thread; `zeros` is max(D, unitBlock) zeros.
 */
export function expertsBackward(
  begin: i32, end: i32, x: usize, dy: usize, T: i32, rowToken: usize, rowClaim: usize, zeros: usize, weights: usize,
  weights1: usize, weights2: usize, biases2: usize, pre: usize, bounds: usize,
  rowGradients: usize, dWeights: usize, dWeights1: usize, dBiases1: usize, dWeights2: usize, dBiases2: usize,
  scratch: usize, blockRows: i32, unitBlock: i32, D: i32, S: i32, kind: i32,
): void {
  const strideD = <usize>D << 2, strideS = <usize>S << 2, matrix = <usize>D * strideS;
  const own = scratch + threadIndex() * (<usize>blockRows * <usize>(D + unitBlock + 2) << 3);
  for (let item = begin; item < end; item++) {
    const group = <usize>item;
    const first = load<i32>(bounds + (group << 3)), last = load<i32>(bounds + (group << 3), 4);
    w1 = weights1 + group * matrix;
    w2 = weights2 + group * matrix;
    b2 = biases2 + group * strideD;
    dw1 = dWeights1 == 0 ? 0 : dWeights1 + group * matrix;
    db1 = dBiases1 == 0 ? 0 : dBiases1 + group * strideS;
    dw2 = dWeights2 == 0 ? 0 : dWeights2 + group * matrix;
    db2 = dBiases2 == 0 ? 0 : dBiases2 + group * strideD;
    if (db1 !== 0) memory.fill(db1, 0, strideS);
    if (db2 !== 0) memory.fill(db2, 0, strideD);
    if (first == last) {
      if (dw1 !== 0) memory.fill(dw1, 0, matrix);
      if (dw2 !== 0) memory.fill(dw2, 0, matrix);
      continue;
    }
    const blocks = (last - first + blockRows - 1) / blockRows;
    const height = ((last - first + blocks - 1) / blocks + 3) & ~3;
    for (let row = first; row < last; row += height) {
      backwardBlock(
        min(height, last - row), row, row > first, x, dy, T, rowToken, rowClaim, zeros, weights, pre, rowGradients, dWeights,
        own, blockRows, unitBlock, D, S, kind,
      );
    }
  }
}

/** A block of rows of the expert. `accumulate`: whether the gradients of its weights hold those of rows before. */
function backwardBlock(
  rows: i32, first: i32, accumulate: bool, x: usize, dy: usize, T: i32, rowToken: usize, rowClaim: usize, zeros: usize, weights: usize,
  pre: usize, rowGradients: usize, dWeights: usize, scratch: usize, blockRows: i32, unitBlock: i32, D: i32, S: i32, kind: i32,
): void {
  const strideD = <usize>D << 2, strideS = <usize>S << 2;
  const list = <usize>blockRows << 2, factors = scratch, dots = factors + list, ones = dots + list, ofDy = ones + 2 * list;
  const ofX = ofDy + <usize>blockRows * strideD, u = ofX + <usize>blockRows * strideD, hidden = u + list * <usize>unitBlock;
  const claims = rowClaim + (<usize>first << 2);
  listFactors(claims, rows, weights, factors, ones);
  memory.fill(dots, 0, <usize>rows << 2);
  // A library gets hidden units and slopes that have the weights in them; the compiled products put them in as they pack the other side.
  const own = librarySuits(S);
  let fromDy = dy, fromX = x, indices = rowToken, start = first, limit = T;
  const scales: usize = own ? 0 : factors - (<usize>first << 2);
  if (own) {
    gather(ofDy, rows, D, dy, strideD, 0, rowToken, first, T, 0);
    if (dw1 !== 0) gather(ofX, rows, D, x, strideD, 0, rowToken, first, T, 0);
    fromDy = ofDy;
    fromX = ofX;
    indices = 0;
    start = 0;
    limit = rows;
  }
  const most = columnsAtOnce(D, own);
  for (let s = 0; s < S; s += unitBlock) {
    const width = min(unitBlock, S - s), stride = <usize>width << 2, unit = <usize>s << 2;
    multiplyRows(S, rows, width, D, fromDy, strideD, indices, start, limit, zeros, w2 + <usize>s * strideD, strideD, true, u, stride);
    slopeAny(kind, rows, width, pre + <usize>first * strideS + unit, strideS, u, hidden, claims, own ? factors : ones, dots);
    if (rowGradients !== 0) {
      multiplyAll(S, rows, D, width, u, stride, w1 + unit, strideS, true, rowGradients + <usize>first * strideD, strideD, s > 0);
    }
    if (own && (dw1 !== 0 || db1 !== 0)) scaleRows(rows, width, u, factors, db1 == 0 ? 0 : db1 + unit);
    // The picked rows count from `start`, those in scratch too.
    const ofUnits = hidden - <usize>start * stride, ofSlopes = u - <usize>start * stride;
    for (let j = 0; j < D; j += most) {
      const columns = min(most, D - j), column = <usize>j << 2;
      if (dw2 !== 0) {
        sumOuter(
          S, width, columns, rows, start, zeros, ofUnits, stride, 0, start + rows, fromDy + column, strideD, indices, limit, scales,
          dw2 + <usize>s * strideD + column, strideD, own || db2 == 0 || s > 0 ? 0 : db2 + column, accumulate,
        );
      }
      if (dw1 !== 0) {
        sumOuter(
          S, columns, width, rows, start, zeros, fromX + column, strideD, indices, limit, ofSlopes, stride, 0, start + rows, scales,
          dw1 + <usize>j * strideS + unit, strideS, own || db1 == 0 || j > 0 ? 0 : db1 + unit, accumulate,
        );
      }
    }
    if (!own && dw1 == 0 && db1 !== 0) addScaledRows(db1 + unit, width, rows, u, stride, 0, 0, rows, factors);
  }
  if (db2 !== 0 && (own || dw2 == 0)) addScaledRows(db2, D, rows, fromDy, strideD, indices, start, limit, factors);
  if (dWeights !== 0) writeDots(claims, rows, dots, fromDy, strideD, indices, start, D, dWeights);
}

/** The weight of each row's claim, 0 for a row without; and as many ones. */
function listFactors(claims: usize, rows: i32, weights: usize, factors: usize, ones: usize): void {
  for (let i: usize = 0; i < <usize>rows << 2; i += 4) {
    const claim = load<i32>(claims + i);
    store<f32>(factors + i, claim < 0 ? 0 : load<f32>(weights + (<usize>claim << 2)));
    store<f32>(ones + i, 1);
  }
}

/** Dense rows, each times its factor, in place; their sum is added to sums [columns], unless that is 0. */
function scaleRows(rows: i32, columns: i32, at: usize, factors: usize, sums: usize): void {
  for (let i = 0; i < rows; i++, at += <usize>columns << 2) {
    scaleRun(at, at, load<f32>(factors + (<usize>i << 2)), columns);
    if (sums !== 0) addRun(sums, at, columns);
  }
}

function slopeAny(
  kind: i32, rows: i32, columns: i32, pre: usize, stridePre: usize, u: usize, hidden: usize, rowClaim: usize, factors: usize, dots: usize,
): void {
  if (kind == GELU_TANH) slopeTanh(rows, columns, pre, stridePre, u, hidden, rowClaim, factors, dots);
  else if (kind == GELU_ERF) slopeErf(rows, columns, pre, stridePre, u, hidden, rowClaim, factors, dots);
  else if (kind == RELU) slopeRelu(rows, columns, pre, stridePre, u, hidden, rowClaim, factors, dots);
  else slopeNone(rows, columns, pre, stridePre, u, hidden, rowClaim, factors, dots);
}

/** sums [columns] += Σ_i factors[i] · row i of those that are picked from `first` on (see gather), in ascending order. */
function addScaledRows(
  sums: usize, columns: i32, rows: i32, base: usize, stride: usize, indices: usize, first: i32, limit: i32, factors: usize,
): void {
  for (let i = 0; i < rows; i++) {
    const row = indices == 0 ? first + i : load<i32>(indices + (<usize>(first + i) << 2));
    if (<u32>row < <u32>limit) addScaled(sums, base + <usize>row * stride, load<f32>(factors + (<usize>i << 2)), columns);
  }
}

/** to[i] += factor·from[i]. */
@inline
function addScaled(to: usize, from: usize, factor: f32, count: i32): void {
  const factors = f32x4.splat(factor);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const at = <usize>i << 2;
    v128.store(to + at, madd(factors, v128.load(from + at), v128.load(to + at)));
  }
  for (; i < count; i++) store<f32>(to + (<usize>i << 2), load<f32>(to + (<usize>i << 2)) + factor * load<f32>(from + (<usize>i << 2)));
}

/** dWeights[claim] = dots + b2·dy of each row that has a claim. */
function writeDots(
  claims: usize, rows: i32, dots: usize, dy: usize, stride: usize, indices: usize, first: i32, D: i32, dWeights: usize,
): void {
  for (let i = 0; i < rows; i++) {
    const at = <usize>i << 2;
    const claim = load<i32>(claims + at);
    if (claim < 0) continue;
    const row = indices == 0 ? first + i : load<i32>(indices + (<usize>first << 2) + at);
    store<f32>(dWeights + (<usize>claim << 2), load<f32>(dots + at) + dotRun(b2, dy + <usize>row * stride, D));
  }
}
