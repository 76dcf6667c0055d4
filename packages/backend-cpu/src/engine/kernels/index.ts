// The table of compiled kernels: which rows of the contract the engine computes itself. The others stay plain TypeScript.
import type { Kernels } from '@xmoe/core';
import type { WasmRuntime } from '../runtime.js';
import { createActivation } from './activation.js';
import { createAttention } from './attention.js';
import { createDispatch } from './dispatch.js';
import { createDropout } from './dropout.js';
import { createElementwise } from './elementwise.js';
import { createExperts } from './experts.js';
import { createGrouped } from './grouped.js';
import { createIndexing } from './indexing.js';
import { createMatmul } from './matmul.js';
import { createMovement } from './movement.js';
import { createNormalization } from './normalization.js';
import { createOptimizer } from './optimizer.js';
import { createReduce } from './reduce.js';
import { createRouting } from './routing.js';
import { createSoftmax } from './softmax.js';
import { createSorting } from './sorting.js';

/**
 * Rows of the contract for float32 operands (float16 ones arrive decoded). A row that takes other dtypes too hands them to its
 * `plain` namesake.
 */
export function createWasmKernels(runtime: WasmRuntime, plain: Kernels): Partial<Kernels> {
  return {
    ...createMatmul(runtime),
    ...createActivation(runtime),
    ...createAttention(runtime, plain),
    ...createDispatch(runtime),
    ...createDropout(runtime),
    ...createElementwise(runtime, plain),
    ...createExperts(runtime, plain),
    ...createGrouped(runtime, plain),
    ...createIndexing(runtime, plain),
    ...createMovement(runtime, plain),
    ...createNormalization(runtime),
    ...createOptimizer(runtime),
    ...createReduce(runtime, plain),
    ...createRouting(runtime, plain),
    ...createSoftmax(runtime),
    ...createSorting(runtime),
  };
}
