// layerNorm and its gradient on the compiled kernels.
import type { Kernels } from '@xmoe/core';
import type { WasmRuntime } from '../runtime.js';
import { chunksOf, grainOf } from './grain.js';

export function createNormalization(runtime: WasmRuntime): Pick<Kernels, 'layerNorm' | 'layerNormGrad'> {
  const { pointer } = runtime;
  return {
    layerNorm({ x, gamma, beta }, { out, mean, rstd }, { epsilon }) {
      const [R, D] = x.shape;
      runtime.parallel('layerNorm', R, grainOf(3 * D), [
        pointer(x), pointer(gamma), pointer(beta), pointer(out), pointer(mean), pointer(rstd), D, epsilon,
      ]);
    },
    layerNormGrad({ x, gamma, mean, rstd, dy }, { dx, dgamma, dbeta }) {
      const [R, D] = x.shape;
      const chunks = chunksOf(R);
      const partial = runtime.scratch(4 * chunks.count * 2 * D);
      runtime.parallel('layerNormGrad', chunks.count, grainOf(4 * D * chunks.size), [
        pointer(x), pointer(gamma), pointer(mean), pointer(rstd), pointer(dy), pointer(dx), partial, R, D, chunks.size,
      ]);
      runtime.parallel('layerNormGradFromChunks', 2, grainOf(D * chunks.count), [
        partial, pointer(dgamma), pointer(dbeta), D, chunks.count,
      ]);
    },
  };
}
