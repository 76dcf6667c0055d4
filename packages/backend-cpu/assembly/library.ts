// Products by a library of the machine: a function that the host gives each thread. Which go there is decided by their shape alone, never by
// a thread or a clock, so that equal products have equal bits. Where the host gives none, nothing does.

/** out = op(a)·op(b), or added to what is there; all row-major, strides in elements. src/engine/products.ts is the other side. */
@external('env', 'sgemm')
declare function sgemm(
  transposeA: bool, transposeB: bool, rows: i32, columns: i32, K: i32, a: usize, strideA: i32, b: usize, strideB: i32, accumulate: bool,
  out: usize, strideOut: i32,
): void;

let isThere = false;

/** Called once by the runtime, before any kernel, where `sgemm` is a library's. */
export function useLibrary(): void {
  isThere = true;
}

/** Fewer multiplications than this cost less than a call. */
const SMALLEST: f32 = 16384;
/** The largest block of the compiled kernels, in rows and in columns: gemm-block.ts. */
const BLOCK: i32 = 256;

@inline
export function hasLibrary(): bool {
  return isThere;
}

@inline
export function byLibrary(rows: i32, columns: i32, K: i32): bool {
  return isThere && (max(rows, columns) > BLOCK || <f32>rows * <f32>columns * <f32>K >= SMALLEST);
}

/** Of a single row, from how many multiplications on a library copies a B that is read once. */
const LARGEST_ROW: f32 = 131072;

/** Whether a library multiplies, where a single row may also be read in place (gemm-few.ts): that is faster if B is transposed or large. */
@inline
export function rowsByLibrary(rows: i32, columns: i32, K: i32, transposeB: bool): bool {
  return byLibrary(rows, columns, K) && (rows > 1 || (!transposeB && <f32>columns * <f32>K < LARGEST_ROW));
}

/** As multiplyBlock, with strides in bytes, of any number of rows and columns. */
@inline
export function multiplyByLibrary(
  rows: i32, columns: i32, K: i32,
  a: usize, strideA: usize, transposeA: bool, b: usize, strideB: usize, transposeB: bool, out: usize, strideOut: usize, accumulate: bool,
): void {
  sgemm(transposeA, transposeB, rows, columns, K, a, <i32>(strideA >> 2), b, <i32>(strideB >> 2), accumulate, out, <i32>(strideOut >> 2));
}
