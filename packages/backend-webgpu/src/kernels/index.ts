// The table of kernels: every primitive of the contract in WGSL.
import type { Kernels } from '@xmoe/core';
import type { Runtime } from '../runtime/runtime.js';
import { elementwiseKernels } from './elementwise.js';

export function createKernels(runtime: Runtime): Kernels {
  return {
    ...elementwiseKernels(runtime),
  } as unknown as Kernels;
}
