// reduce, argReduce of rows, sumSquares and cumsum of float32 on the compiled kernels. Integers stay plain.
import { sizeOf, type Kernels, type ReduceOp } from '@xmoe/core';
import type { WasmRuntime } from '../runtime.js';
import { chunksOf, grainOf } from './grain.js';

/** The codes of assembly/reduce.ts. */
const CODES: Record<ReduceOp | 'squares', number> = { sum: 0, max: 1, min: 2, squares: 3 };

/** Longer rows than this are reduced in chunks of half of it. */
const LONGEST_ROW = 8192;

export function createReduce(runtime: WasmRuntime, plain: Kernels): Pick<Kernels, 'reduce' | 'argReduce' | 'sumSquares' | 'cumsum'> {
  const { pointer } = runtime;

  function reduceRows(x: number, out: number, rows: number, size: number, op: ReduceOp | 'squares'): void {
    const length = size <= LONGEST_ROW ? size : LONGEST_ROW / 2;
    const chunks = Math.max(1, Math.ceil(size / Math.max(1, length)));
    const partial = chunks === 1 ? out : runtime.scratch(4 * rows * chunks);
    runtime.parallel('reduceRowChunks', rows * chunks, grainOf(length / 2 + 4), [x, partial, size, chunks, length, CODES[op]]);
    if (chunks === 1) return;
    const joining = CODES[op === 'squares' ? 'sum' : op];
    runtime.parallel('joinRowChunks', rows, grainOf(chunks * 2), [partial, out, chunks, joining]);
  }

  function reduceColumns(x: number, out: number, outer: number, size: number, inner: number, op: ReduceOp): void {
    const chunks = chunksOf(size, 32);
    const partial = chunks.count === 1 ? out : runtime.scratch(4 * outer * chunks.count * inner);
    runtime.parallel('reduceColumnChunks', outer * chunks.count, grainOf(inner * chunks.size), [
      x, partial, size, inner, chunks.count, chunks.size, CODES[op],
    ]);
    if (chunks.count === 1) return;
    runtime.parallel('joinColumnChunks', outer, grainOf(inner * chunks.count), [partial, out, inner, chunks.count, CODES[op]]);
  }

  return {
    reduce({ x }, { out }, attributes) {
      const { outer, size, inner, op } = attributes;
      if (x.dtype !== 'float32') return plain.reduce({ x }, { out }, attributes);
      if (outer * inner === 0) return;
      if (inner === 1) reduceRows(pointer(x), pointer(out), outer, size, op);
      else reduceColumns(pointer(x), pointer(out), outer, size, inner, op);
    },
    argReduce({ x }, { out }, attributes) {
      const { outer, size, inner, op } = attributes;
      if (x.dtype !== 'float32' || inner !== 1) return plain.argReduce({ x }, { out }, attributes);
      runtime.parallel('argReduceRows', outer, grainOf(size + 8), [pointer(x), pointer(out), size, Number(op === 'min')]);
    },
    sumSquares({ parts }, { out }) {
      if (parts.length === 1) return reduceRows(pointer(parts[0]), pointer(out), 1, sizeOf(parts[0].shape), 'squares');
      const sums = runtime.scratch(4 * parts.length);
      parts.forEach((x, index) => reduceRows(pointer(x), sums + 4 * index, 1, sizeOf(x.shape), 'squares'));
      reduceRows(sums, pointer(out), 1, parts.length, 'sum');
    },
    cumsum({ x }, { out }, attributes) {
      const columns = x.shape[x.shape.length - 1];
      if (x.dtype !== 'float32' || columns === 0) return plain.cumsum({ x }, { out }, attributes);
      runtime.parallel('cumsum', sizeOf(x.shape) / columns, grainOf(4 * columns), [
        pointer(x), pointer(out), columns, Number(attributes.exclusive),
      ]);
    },
  };
}
