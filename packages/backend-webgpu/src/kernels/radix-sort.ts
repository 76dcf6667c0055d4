// The stable sort of many keys: least significant digit first, a byte per pass. A tile of keys is one workgroup's; it learns where
// its keys of each digit go from the digit counts of all tiles, and counts the next digit for the tiles that its keys go to.
// So n bytes of key cost n + 1 launches, and nothing depends on which workgroup runs first. The WGSL is in radix-sort-wgsl.ts.
import { sizeOf, type Kernels, type Operand } from '@xmoe/core';
import { reads, writes, type BufferType } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { ORDER_GROUP, RUN } from './order-wgsl.js';
import { countWgsl, scatterWgsl, sortFewWgsl, type RadixKey } from './radix-sort-wgsl.js';

/** More tiles would make each workgroup read more counts. */
const MOST_TILES = 256;
const KEY_BYTES = 4;

interface SortOptions {
  readonly order: 'ascending' | 'descending';
  /** Sorts each row of so many keys by itself. Default: all keys are one row. */
  readonly rowLength?: number;
  /** Low bytes that the keys differ in, for keys that are never negative. Default 4. */
  readonly keyBytes?: number;
}

export function sortByKeyKernel(runtime: Runtime) {
  return {
    sortByKey({ keys }, { permutation }) {
      sortWords(runtime, 'sortByKey', keys, permutation, { order: 'ascending' });
    },
  } satisfies Partial<Kernels>;
}

/** The stable order of float or int32 keys, as indices into all of them: int32 [n]. NaN last, −0 as 0. */
export function sortWords(runtime: Runtime, name: string, keys: Operand, permutation: Operand, { order, rowLength, keyBytes = KEY_BYTES }: SortOptions): void {
  const length = sizeOf(keys.shape);
  const key: RadixKey = { dtype: keys.dtype, order };
  const label = `${name} ${order} ${keys.dtype}`;
  const keysType: BufferType = keys.dtype === 'float16' ? 'f16' : 'u32';
  if (length <= RUN && rowLength === undefined) {
    const few = runtime.program(`${label} few`, () => ({
      buffers: { keys: reads(keysType), permutation: writes('u32') },
      args: { length: 'u32' },
      code: sortFewWgsl(key),
    }));
    runtime.run(few, { keys, permutation }, { length }, [length === 0 ? 0 : 1]);
    return;
  }
  const tile = ORDER_GROUP * Math.max(4, Math.ceil(length / (MOST_TILES * ORDER_GROUP)));
  const tiles = Math.ceil(length / tile);
  const rowBytes = rowLength === undefined ? 0 : bytesOf(length / rowLength - 1);
  // The row is sorted by in the passes after all of the key's.
  const passes = (rowLength === undefined ? keyBytes : KEY_BYTES) + rowBytes;
  const counts = runtime.scratch('uint32', [passes, tiles, ORDER_GROUP]);
  const args = { length, tile, tiles, passes, rowLength: rowLength ?? length };
  const count = runtime.program(`${label} count`, () => ({
    buffers: { keys: reads(keysType), counts: writes('u32') },
    args: { length: 'u32', tile: 'u32', tiles: 'u32', passes: 'u32' },
    code: countWgsl(key),
  }));
  runtime.run(count, { keys, counts }, args, [tiles]);
  // Pairs of a word and an index.
  const [from, to] = [0, 1].map(() => runtime.scratch('uint32', [length, 2]));
  for (let pass = 0; pass < passes; pass++) {
    const ends = { first: pass === 0, last: pass === passes - 1 };
    const source: Operand = ends.first ? keys : pass % 2 === 1 ? from! : to!;
    const target: Operand = ends.last ? permutation : pass % 2 === 1 ? to! : from!;
    const scatter = runtime.program(`${label} scatter${ends.first ? ' first' : ''}${ends.last ? ' last' : ''}`, () => ({
      buffers: {
        source: reads(ends.first ? keysType : 'vec2<u32>'), sorted: writes(ends.last ? 'u32' : 'vec2<u32>'), counts: writes('atomic<u32>'),
      },
      args: { length: 'u32', tile: 'u32', tiles: 'u32', byte: 'u32', rowLength: 'u32' },
      code: scatterWgsl(key, ends),
    }));
    runtime.run(scatter, { source, sorted: target, counts }, { ...args, byte: pass }, [tiles]);
  }
}

/** Bytes that hold the whole number `most`. */
export function bytesOf(most: number): number {
  let bytes = 0;
  for (let rest = most; rest >= 1; rest /= 256) bytes++;
  return bytes;
}
