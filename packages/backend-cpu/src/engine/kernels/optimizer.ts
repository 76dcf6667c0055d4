// adamStep on the compiled kernels.
import { sizeOf, type Kernels } from '@xmoe/core';
import type { WasmRuntime } from '../runtime.js';
import { grainOf } from './grain.js';

export function createOptimizer(runtime: WasmRuntime): Pick<Kernels, 'adamStep'> {
  const { pointer } = runtime;
  return {
    adamStep(parameter, gradient, m, v, hyper, { decay }) {
      runtime.parallel('adamStep', sizeOf(parameter.shape), grainOf(3), [
        pointer(parameter), pointer(gradient), pointer(m), pointer(v), pointer(hyper), Number(decay),
      ]);
    },
  };
}
