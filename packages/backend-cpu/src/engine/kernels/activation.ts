// biasActivation and its gradient on the compiled kernels.
import type { Activation, Kernels } from '@xmoe/core';
import type { WasmRuntime } from '../runtime.js';
import { chunksOf, grainOf } from './grain.js';

/** Code and cost of each activation in assembly/activation.ts. */
export const KINDS: Record<Activation, readonly [code: number, cost: number]> = {
  none: [0, 1], relu: [1, 1], 'gelu-tanh': [2, 6], 'gelu-erf': [3, 10],
};

export function createActivation(runtime: WasmRuntime): Pick<Kernels, 'biasActivation' | 'biasActivationGrad'> {
  const { pointer } = runtime;
  return {
    biasActivation({ x, bias, offsets }, { out }, { activation }) {
      const [R, C] = x.shape;
      const [code, cost] = KINDS[activation];
      const groups = offsets === null ? 1 : offsets.shape[0] - 1;
      runtime.parallel('biasActivation', R, grainOf(cost * C), [
        pointer(x), bias === null ? 0 : pointer(bias), offsets === null ? 0 : pointer(offsets), groups, pointer(out), C, code,
      ]);
    },

    biasActivationGrad({ x, bias, offsets, dy }, { dx, dbias }, { activation }) {
      const [R, C] = x.shape;
      const [code, cost] = KINDS[activation];
      const groups = offsets === null ? 1 : offsets.shape[0] - 1;
      const bounds = offsets === null ? 0 : pointer(offsets);
      const chunks = chunksOf(R);
      const partial = dbias === null ? 0 : runtime.scratch(4 * (chunks.count + groups) * C);
      runtime.parallel('biasActivationGrad', R === 0 ? 0 : chunks.count, grainOf((cost + 2) * C * chunks.size), [
        pointer(x), bias === null ? 0 : pointer(bias), bounds, groups, pointer(dy), pointer(dx), partial, R, C, chunks.size, code,
      ]);
      if (dbias === null) return;
      runtime.parallel('biasGradFromPieces', groups, grainOf((C * (chunks.count + groups)) / Math.max(1, groups)), [
        partial, bounds, pointer(dbias), R, C, chunks.size,
      ]);
    },
  };
}
