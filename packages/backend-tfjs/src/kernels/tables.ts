// The whole table of kernels of the builds whose memory the host sees. That of the others is native.ts.
import type { BackendKernels } from '@xmoe/core';
import type { BoxStore } from '../box.js';
import type { Memory } from '../memory.js';
import { expertKernels, separately } from './experts.js';
import type { HostKernels } from './host.js';
import { wasmValueAndGradient } from './wasm-activation.js';
import type { WasmContext } from './wasm-context.js';
import { wasmKernels } from './wasm.js';

/** Host loops in place. */
export function cpuTable(host: HostKernels, store: BoxStore, memory: Memory): BackendKernels {
  return { ...host, ...expertKernels(host, store, memory) };
}

/** SIMD calls on the heap of the build, host loops in place for the rest. */
export function wasmTable(host: HostKernels, context: WasmContext, store: BoxStore, memory: Memory): BackendKernels {
  const kernels = wasmKernels(context, host);
  return { ...kernels, ...expertKernels(kernels, store, memory, wasmValueAndGradient(context, separately(kernels))) };
}
