// The kernels of the wasm build: SIMD calls on the heap first, host loops on the same heap for the rest.
import type { FusedKernels } from '@xmoe/core';
import type { HostKernels } from './host.js';
import { wasmActivation } from './wasm-activation.js';
import { wasmAttention } from './wasm-attention.js';
import type { WasmContext } from './wasm-context.js';
import { wasmElementwise } from './wasm-elementwise.js';
import { wasmMatmul } from './wasm-matmul.js';
import { wasmOptimizer } from './wasm-optimizer.js';
import { wasmSoftmax } from './wasm-softmax.js';

export function wasmKernels(context: WasmContext, host: HostKernels): HostKernels & Pick<FusedKernels, 'attention' | 'attentionGrad'> {
  return {
    ...host,
    ...wasmElementwise(context, host),
    ...wasmMatmul(context),
    ...wasmSoftmax(context, host),
    ...wasmActivation(context, host),
    ...wasmOptimizer(context, host),
    ...wasmAttention(context),
  };
}
