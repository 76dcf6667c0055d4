// The tiles at the edges of a block, of which only a part exists.
import { TILE_COLUMNS, TILE_ROWS, multiplyTile } from './gemm-tile';

const SPILL_STRIDE: usize = TILE_COLUMNS << 2;
export const SPILL_BYTES: usize = SPILL_STRIDE * TILE_ROWS;

/** As multiplyTile where only `rows` × `columns` of the tile exist: works on a whole one at `spill`. */
export function multiplyEdge(
  K: i32, a: usize, stepA: usize, b: usize, stepB: usize, c: usize, strideC: usize, accumulate: bool,
  rows: i32, columns: i32, spill: usize,
): void {
  const bytes = <usize>columns << 2;
  if (accumulate) {
    for (let i: usize = 0; i < <usize>rows; i++) memory.copy(spill + i * SPILL_STRIDE, c + i * strideC, bytes);
  }
  multiplyTile(K, a, stepA, b, stepB, spill, SPILL_STRIDE, accumulate);
  for (let i: usize = 0; i < <usize>rows; i++) memory.copy(c + i * strideC, spill + i * SPILL_STRIDE, bytes);
}
