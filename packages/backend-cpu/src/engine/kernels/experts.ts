// expertsGrad on the compiled kernels.
import type { Activation, Kernels } from '@xmoe/core';
import { floats } from '../../storage.js';
import type { WasmRuntime } from '../runtime.js';
import { KINDS } from './activation.js';
import { grainOf } from './grain.js';

/** The compiled kernel of each activation. */
const KERNELS: Record<Activation, string> = { none: 'expertsGrad', relu: 'expertsGradRelu', 'gelu-tanh': 'expertsGradTanh', 'gelu-erf': 'expertsGradErf' };

export function createExperts(runtime: WasmRuntime): Pick<Kernels, 'expertsGrad'> {
  const { pointer } = runtime;
  return {
    expertsGrad({ pre, dHidden, weights, b2, dy, rowClaim, offsets }, { dPre, hidden, dWeights, rowWeight }, { activation }) {
      const [R, S] = pre.shape;
      const D = dy.shape[1];
      const [, cost] = KINDS[activation];
      if (dWeights !== null) floats(dWeights).fill(0); // claims without a row
      runtime.parallel(KERNELS[activation], R, grainOf((cost + 3) * S + D), [
        pointer(pre), pointer(dHidden), pointer(weights), pointer(b2), pointer(dy), pointer(rowClaim), pointer(offsets), offsets.shape[0] - 1,
        pointer(dPre), pointer(hidden), dWeights === null ? 0 : pointer(dWeights), pointer(rowWeight), S, D, weights.shape[1],
      ]);
    },
  };
}
