// The table of kernels: every primitive of the contract in WGSL.
import type { Kernels } from '@xmoe/core';
import type { Runtime } from '../runtime/runtime.js';
import { broadcastingKernels } from './broadcasting.js';
import { elementwiseKernels } from './elementwise.js';
import { matmulKernels } from './matmul.js';
import { createTilings, type Tilings } from './tiles/tilings.js';

export function createKernels(runtime: Runtime, tilings: Tilings = createTilings(runtime.traits)): Kernels {
  return {
    ...elementwiseKernels(runtime),
    ...broadcastingKernels(runtime),
    ...matmulKernels(runtime, tilings),
  } as unknown as Kernels;
}
