// sortByKey on the compiled kernels, and the radix sort that dispatchClaims uses too.
import { sizeOf, type Kernels } from '@xmoe/core';
import { int32s } from '../../storage.js';
import type { WasmRuntime } from '../runtime.js';
import { chunksOf, grainOf } from './grain.js';

/** DIGIT_BITS of assembly/sorting.ts. */
const DIGIT_BITS = 11;
const TABLE_BYTES = 4 << DIGIT_BITS;
/** A chunk has a table of counters, which costs as much as some thousands of elements. */
const SMALLEST_CHUNK = 8192;

/**
 * Orders `length` ids by their words (uint32), equal ones as they stand, by passes between the two regions of each. Both are used
 * up; returns which of `ids` has the result.
 */
export function sortWords(runtime: WasmRuntime, words: readonly [number, number], ids: readonly [number, number], length: number): number {
  const chunks = chunksOf(length, SMALLEST_CHUNK);
  const counts = runtime.scratch(chunks.count * TABLE_BYTES);
  let side = 0;
  for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
    runtime.parallel('countDigits', chunks.count, grainOf(2 * chunks.size), [words[side], counts, length, chunks.size, shift]);
    if (runtime.call('digitStarts', counts, chunks.count, length) === 1) continue;
    const other = 1 - side;
    runtime.parallel('moveByDigit', chunks.count, grainOf(4 * chunks.size), [
      words[side], ids[side], words[other], ids[other], counts, length, chunks.size, shift,
    ]);
    side = other;
  }
  return ids[side];
}

export function createSorting(runtime: WasmRuntime): Pick<Kernels, 'sortByKey'> {
  return {
    sortByKey({ keys }, { permutation }) {
      const length = sizeOf(keys.shape);
      if (length === 0) return;
      const words = [runtime.scratch(4 * length), runtime.scratch(4 * length)] as const;
      const spare = runtime.scratchInts(length);
      const target = runtime.pointer(permutation);
      runtime.parallel('sortableKeys', length, grainOf(3), [
        runtime.pointer(keys), words[0], spare.byteOffset, Number(keys.dtype === 'float32'), 0,
      ]);
      // Three passes, an odd number, end in the permutation.
      if (sortWords(runtime, words, [spare.byteOffset, target], length) !== target) int32s(permutation).set(spare);
    },
  };
}
