// Which primitives the conformance files of this backend check: those of the tables of kernels, by file. A fused one without a kernel
// here is of the family `composed`, where core's fallback is checked on this backend.
import type { KernelName } from '@xmoe/core';
import { conformanceCases } from '@xmoe/testing';
import { activationKernels } from '../src/kernels/activation.js';
import { argReduceKernel } from '../src/kernels/arg-reduce.js';
import { attentionKernels } from '../src/kernels/attention.js';
import { broadcastingKernels } from '../src/kernels/broadcasting.js';
import { combineKernels } from '../src/kernels/combine.js';
import { crossEntropyKernels } from '../src/kernels/cross-entropy.js';
import { dispatchKernels } from '../src/kernels/dispatch.js';
import { elementwiseKernels } from '../src/kernels/elementwise.js';
import { expertsGradKernel } from '../src/kernels/experts-grad.js';
import { groupedLinearKernels } from '../src/kernels/grouped-linear.js';
import { groupedWeightGradKernels } from '../src/kernels/grouped-weight-grad.js';
import { createKernels } from '../src/kernels/index.js';
import { indexingKernels } from '../src/kernels/indexing.js';
import { matmulKernels } from '../src/kernels/matmul.js';
import { movementKernels } from '../src/kernels/movement.js';
import { normalizationKernels } from '../src/kernels/normalization.js';
import { optimizerKernels } from '../src/kernels/optimizer.js';
import { sortByKeyKernel } from '../src/kernels/radix-sort.js';
import { randomKernels } from '../src/kernels/random.js';
import { reduceKernels } from '../src/kernels/reduce.js';
import { scanKernels } from '../src/kernels/scan.js';
import { scatterKernel } from '../src/kernels/scatter.js';
import { softmaxKernels } from '../src/kernels/softmax.js';
import { createTilings, type Tilings } from '../src/kernels/tiles/tilings.js';
import { topKKernels } from '../src/kernels/top-k.js';
import type { Runtime } from '../src/runtime/runtime.js';

type Table = (runtime: Runtime, tilings: Tilings) => Partial<Record<KernelName, unknown>>;

/** Only the names of tables matter: no kernel runs here. */
const runtime = { traits: { workgroupMemoryBytes: 16384, maxInvocations: 256 } } as Runtime;

function namesOf(...tables: readonly Table[]): readonly KernelName[] {
  return tables.flatMap((table) => Object.keys(table(runtime, createTilings(runtime.traits))) as KernelName[]);
}

/** Family → its primitives. The file `conformance-<family>.test.ts` checks them. */
export const FAMILIES = {
  elementwise: namesOf(elementwiseKernels, randomKernels, broadcastingKernels),
  movement: namesOf(movementKernels),
  indexing: namesOf(indexingKernels, scatterKernel),
  reduce: namesOf(reduceKernels, argReduceKernel, scanKernels, optimizerKernels),
  products: namesOf(matmulKernels, groupedLinearKernels, groupedWeightGradKernels),
  softmax: namesOf(softmaxKernels, crossEntropyKernels),
  ordering: namesOf(topKKernels, sortByKeyKernel),
  rows: namesOf(normalizationKernels, activationKernels),
  attention: namesOf(attentionKernels),
  routing: namesOf(dispatchKernels, combineKernels, expertsGradKernel),
  composed: primitives().filter((name) => !(name in createKernels(runtime))),
};

/** Every primitive of the contract: none is without cases. */
export function primitives(): KernelName[] {
  return [...new Set(conformanceCases().map(({ primitive }) => primitive))];
}
