// random and dropout on the compiled kernels.
import { sizeOf, type Kernels } from '@xmoe/core';
import type { WasmRuntime } from '../runtime.js';
import { grainOf } from './grain.js';

/** Elements of one work item, see assembly/dropout.ts. */
const BLOCK = 8;
const BLOCK_COST = 80;

export function createDropout(runtime: WasmRuntime): Pick<Kernels, 'random' | 'dropout'> {
  const { pointer } = runtime;
  return {
    random({ key }, { out }, { stream }) {
      const count = sizeOf(out.shape);
      runtime.parallel('random', Math.ceil(count / BLOCK), grainOf(BLOCK_COST), [pointer(key), pointer(out), count, stream]);
    },
    dropout({ x, key }, { out }, { rate, stream }) {
      const count = sizeOf(x.shape);
      runtime.parallel('dropout', Math.ceil(count / BLOCK), grainOf(BLOCK_COST), [
        pointer(x), pointer(key), pointer(out), count, stream, rate, 1 / (1 - rate),
      ]);
    },
  };
}
