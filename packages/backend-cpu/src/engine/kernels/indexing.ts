// The kernels that read or add at indices on the compiled ones. Rows move as bytes, so any dtype; sums are float32 only.
import { type Kernels } from '@xmoe/core';
import { bytesPerElement } from '@xmoe/core/backend';
import type { WasmRuntime } from '../runtime.js';
import { grainOf } from './grain.js';

/** Columns of one work item of scatterAddRows: a cache line. */
const SCATTER_WIDTH = 16;

type IndexingKernels = Pick<Kernels, 'gatherRows' | 'scatterAddRows' | 'addRows' | 'takeAlongLast' | 'addAlongLast'>;

export function createIndexing(runtime: WasmRuntime, plain: Kernels): IndexingKernels {
  const { pointer } = runtime;
  return {
    gatherRows({ x, indices }, { out }) {
      const [R, D] = x.shape;
      const bytes = D * bytesPerElement(x.dtype);
      runtime.parallel('gatherRows', indices.shape[0], grainOf(bytes / 4), [pointer(x), pointer(indices), pointer(out), R, bytes]);
    },
    scatterAddRows({ x, indices }, { out }) {
      if (x.dtype !== 'float32') return plain.scatterAddRows({ x, indices }, { out });
      const [R, D] = out.shape;
      const count = indices.shape[0];
      runtime.parallel('scatterAddRows', Math.ceil(D / SCATTER_WIDTH), grainOf((count + R) * SCATTER_WIDTH), [
        pointer(x), pointer(indices), pointer(out), count, R, D, SCATTER_WIDTH,
      ]);
    },
    addRows({ x, indices }, { sums }) {
      const [R, D] = sums.shape;
      const count = indices.shape[0];
      runtime.parallel('addRows', Math.ceil(D / SCATTER_WIDTH), grainOf(count * SCATTER_WIDTH), [
        pointer(x), pointer(indices), pointer(sums), count, R, D, SCATTER_WIDTH,
      ]);
    },
    takeAlongLast({ x, indices }, { out }) {
      if (bytesPerElement(x.dtype) !== 4) return plain.takeAlongLast({ x, indices }, { out });
      const [R, k] = indices.shape;
      runtime.parallel('takeAlongLast', R, grainOf(2 * k), [pointer(x), pointer(indices), pointer(out), x.shape[1], k]);
    },
    addAlongLast({ x, indices }, { out }) {
      if (x.dtype !== 'float32') return plain.addAlongLast({ x, indices }, { out });
      const [R, C] = out.shape;
      const k = indices.shape[1];
      runtime.parallel('addAlongLast', R, grainOf(C / 4 + 2 * k), [pointer(x), pointer(indices), pointer(out), C, k]);
    },
  };
}
