// createCpuBackend: the reference backend. Buffers are ordinary arrays; the arithmetic is that of the host kernels.
import type { Backend } from '@xmoe/core';
import { createHostBackend } from './host-backend.js';
import { createKernels } from './plain-kernels.js';
import { createBufferPool } from './pool.js';
import type { Precision } from './storage.js';

export interface CpuBackendOptions {
  /**
   * `float64` stores float32 tensors as doubles and computes all of them so (for gradient checks by central differences);
   * reads then give Float64Array. Default `float32`: single-precision storage, sums in doubles.
   */
  accumulate?: Precision;
}

/** The plain TypeScript backend: every primitive native, deterministic, runs in Node and in browsers. */
export function createCpuBackend({ accumulate = 'float32' }: CpuBackendOptions = {}): Backend {
  const pool = createBufferPool(accumulate);
  return createHostBackend({
    name: accumulate === 'float64' ? 'cpu:float64' : 'cpu',
    description: `CPU, one thread, plain TypeScript, ${accumulate === 'float64' ? 'double' : 'single'} precision`,
    kernels: createKernels(),
    pool,
    dispose: () => pool.clear(),
  });
}
