// The table of kernels in WGSL: today every primitive of the contract. A fused one that is not here is core's fallback.
import type { BackendKernels } from '@xmoe/core';
import type { Runtime } from '../runtime/runtime.js';
import { activationKernels } from './activation.js';
import { argReduceKernel } from './arg-reduce.js';
import { attentionKernels } from './attention.js';
import { broadcastingKernels } from './broadcasting.js';
import { crossEntropyKernels } from './cross-entropy.js';
import { combineKernels } from './combine.js';
import { dispatchKernels } from './dispatch.js';
import { elementwiseKernels } from './elementwise.js';
import { expertsGradKernel } from './experts-grad.js';
import { indexingKernels } from './indexing.js';
import { movementKernels } from './movement.js';
import { groupedLinearKernels } from './grouped-linear.js';
import { groupedWeightGradKernels } from './grouped-weight-grad.js';
import { matmulKernels } from './matmul.js';
import { normalizationKernels } from './normalization.js';
import { optimizerKernels } from './optimizer.js';
import { randomKernels } from './random.js';
import { reduceKernels } from './reduce.js';
import { scanKernels } from './scan.js';
import { scatterKernel } from './scatter.js';
import { sortByKeyKernel } from './radix-sort.js';
import { softmaxKernels } from './softmax.js';
import { createTilings, type Tilings } from './tiles/tilings.js';
import { topKKernels } from './top-k.js';

export function createKernels(runtime: Runtime, tilings: Tilings = createTilings(runtime.traits)): BackendKernels {
  return {
    ...elementwiseKernels(runtime),
    ...randomKernels(runtime),
    ...broadcastingKernels(runtime),
    ...movementKernels(runtime),
    ...indexingKernels(runtime),
    ...scatterKernel(runtime),
    ...reduceKernels(runtime),
    ...argReduceKernel(runtime),
    ...scanKernels(runtime),
    ...optimizerKernels(runtime),
    ...matmulKernels(runtime, tilings),
    ...groupedLinearKernels(runtime, tilings),
    ...groupedWeightGradKernels(runtime, tilings),
    ...softmaxKernels(runtime),
    ...crossEntropyKernels(runtime),
    ...sortByKeyKernel(runtime),
    ...topKKernels(runtime),
    ...normalizationKernels(runtime),
    ...activationKernels(runtime),
    ...dispatchKernels(runtime),
    ...attentionKernels(runtime, tilings),
    ...combineKernels(runtime),
    ...expertsGradKernel(runtime),
  };
}
