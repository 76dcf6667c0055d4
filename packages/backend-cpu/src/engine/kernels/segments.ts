// Ragged segments of rows as the kernels of experts see them: which rows are used, and in which blocks they are computed.
import type { Operand } from '@xmoe/core';
import { floats } from '../../storage.js';
import type { WasmRuntime } from '../runtime.js';

/** Rows from … to − 1 of a segment. */
export type Segment = readonly [from: number, to: number];

/** The segments without the empty rows at their ends: slots that nobody claimed. */
export function usedSegments(bounds: Int32Array, isEmpty: (row: number) => boolean): Segment[] {
  return Array.from({ length: bounds.length - 1 }, (_, group): Segment => {
    const from = bounds[group];
    let to = bounds[group + 1];
    while (to > from && isEmpty(to - 1)) to--;
    return [from, to];
  });
}

export function totalRows(segments: readonly Segment[]): number {
  return segments.reduce((sum, [from, to]) => sum + to - from, 0);
}

/** The rows of all segments in blocks of at most `largest`, as [segment, first row, rows] in scratch; their address and number. */
export function rowBlocks(runtime: WasmRuntime, segments: readonly Segment[], largest: number): [address: number, count: number] {
  const count = segments.reduce((sum, [from, to]) => sum + Math.ceil((to - from) / largest), 0);
  const table = runtime.scratchInts(3 * count);
  let at = 0;
  for (const [group, [from, to]] of segments.entries()) {
    // Even blocks: 260 rows are 132 + 128, not 256 + 4.
    const height = Math.ceil((to - from) / Math.ceil((to - from) / largest) / 4) * 4;
    for (let row = from; row < to; row += height) {
      table[at++] = group;
      table[at++] = row;
      table[at++] = Math.min(height, to - row);
    }
  }
  return [table.byteOffset, at / 3];
}

/** Clears the rows of `outputs` [R, M] that no segment has. */
export function clearBetween(segments: readonly Segment[], R: number, M: number, outputs: readonly Operand[]): void {
  let row = 0;
  for (const [from, to] of [...segments, [R, R]]) {
    if (from > row) for (const out of outputs) floats(out).fill(0, row * M, from * M);
    row = to;
  }
}

/** The address of `count` zeros in scratch: what a row that is not there is read from. */
export function zeros(runtime: WasmRuntime, count: number): number {
  return runtime.scratchFloats(count).fill(0).byteOffset;
}
