// All host kernels together, over whichever memory they are given. Fused primitives that are not here are core's fallbacks.
import type { BackendKernels } from '@xmoe/core';
import type { Memory } from '../memory.js';
import { hostActivation } from './host-activation.js';
import { hostElementwise } from './host-elementwise.js';
import { hostIndexing } from './host-indexing.js';
import { hostLoss } from './host-loss.js';
import { hostMatmul } from './host-matmul.js';
import { hostMovement } from './host-movement.js';
import { hostNormalization } from './host-normalization.js';
import { hostRandom } from './host-random.js';
import { hostReduce } from './host-reduce.js';
import { hostRouting } from './host-routing.js';
import { hostSorting } from './host-sorting.js';

export type HostKernels = ReturnType<typeof hostKernels>;

export function hostKernels(memory: Memory) {
  return {
    ...hostElementwise(memory),
    ...hostReduce(memory),
    ...hostMovement(memory),
    ...hostIndexing(memory),
    ...hostSorting(memory),
    ...hostRandom(memory),
    ...hostMatmul(memory),
    ...hostNormalization(memory),
    ...hostActivation(memory),
    ...hostLoss(memory),
    ...hostRouting(memory),
  } satisfies BackendKernels;
}
