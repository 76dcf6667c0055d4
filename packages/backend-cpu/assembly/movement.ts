// Kernels that only move bytes: runs at regular distances (slice, concat, transpose of outer axes), and transposes of
// matrices of 4-byte elements in 4 × 4 tiles.

/** For short runs a loop beats the call that memory.copy is. */
@inline
export function copyBytes(to: usize, from: usize, bytes: i32): void {
  if (bytes > 512) {
    memory.copy(to, from, bytes);
    return;
  }
  let i = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(to + i, v128.load(from + i));
  for (; i + 4 <= bytes; i += 4) store<i32>(to + i, load<i32>(from + i));
  for (; i < bytes; i++) store<u8>(to + i, load<u8>(from + i));
}

/**
 * out [n0, n1, n2, n3] of runs, dense; run (i0, i1, i2, i3) comes from x + Σ i·stride (in bytes). Items are the runs of the
 * first three axes: i0·n1·n2 + i1·n2 + i2. One run per n3.
 */
export function copyRuns(
  begin: i32, end: i32, x: usize, out: usize, n1: i32, n2: i32, n3: i32,
  stride0: i32, stride1: i32, stride2: i32, stride3: i32, bytes: i32,
): void {
  let to = out + begin * n3 * bytes;
  for (let item = begin; item < end; item++) {
    const i2 = item % n2;
    const rest = item / n2;
    let from = x + (rest / n1) * stride0 + (rest % n1) * stride1 + i2 * stride2;
    for (let i3 = 0; i3 < n3; i3++) {
      copyBytes(to, from, bytes);
      to += bytes;
      from += stride3;
    }
  }
}

/** out row i begins at out + i·toStride and takes the row of x at i·fromStride, all in bytes. Items are rows. */
export function copyRows(begin: i32, end: i32, x: usize, fromStride: i32, out: usize, toStride: i32, bytes: i32): void {
  for (let row = begin; row < end; row++) copyBytes(out + row * toStride, x + row * fromStride, bytes);
}

/** x [batch, rows, columns] → out [batch, columns, rows], 4-byte elements. Items are bands of 4 columns of each matrix. */
export function transposeMatrices(begin: i32, end: i32, x: usize, out: usize, rows: i32, columns: i32): void {
  const bands = (columns + 3) >> 2;
  const fromRow = columns << 2;
  const toRow = rows << 2;
  for (let item = begin; item < end; item++) {
    const base = (item / bands) * rows * columns << 2;
    const column = (item % bands) << 2;
    const width = min(4, columns - column);
    let from = x + base + (column << 2);
    let to = out + base + column * toRow;
    let row = 0;
    if (width == 4) {
      for (; row + 4 <= rows; row += 4) {
        transposeTile(from, fromRow, to, toRow);
        from += fromRow << 2;
        to += 16;
      }
    }
    for (; row < rows; row++) {
      for (let j = 0; j < width; j++) store<i32>(to + j * toRow, load<i32>(from + (j << 2)));
      from += fromRow;
      to += 4;
    }
  }
}

@inline
export function transposeTile(from: usize, fromRow: i32, to: usize, toRow: i32): void {
  const a = v128.load(from);
  const b = v128.load(from + fromRow);
  const c = v128.load(from + 2 * fromRow);
  const d = v128.load(from + 3 * fromRow);
  const ab = i32x4.shuffle(a, b, 0, 4, 1, 5);
  const cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const abHigh = i32x4.shuffle(a, b, 2, 6, 3, 7);
  const cdHigh = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(to, i32x4.shuffle(ab, cd, 0, 1, 4, 5));
  v128.store(to + toRow, i32x4.shuffle(ab, cd, 2, 3, 6, 7));
  v128.store(to + 2 * toRow, i32x4.shuffle(abHigh, cdHigh, 0, 1, 4, 5));
  v128.store(to + 3 * toRow, i32x4.shuffle(abHigh, cdHigh, 2, 3, 6, 7));
}
