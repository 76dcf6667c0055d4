// adamStep on the compiled kernels.
import { sizeOf, type Kernels } from '@xmoe/core';
import type { WasmRuntime } from '../runtime.js';
import { grainOf } from './grain.js';

export function createOptimizer(runtime: WasmRuntime): Pick<Kernels, 'adamStep'> {
  const { pointer } = runtime;
  return {
    adamStep({ gradients, hyper }, { parameters, m, v }, { decay }) {
      parameters.forEach((parameter, index) => {
        runtime.parallel('adamStep', sizeOf(parameter.shape), grainOf(3), [
          pointer(parameter), pointer(gradients[index]), pointer(m[index]), pointer(v[index]), pointer(hyper), Number(decay),
        ]);
      });
    },
  };
}
