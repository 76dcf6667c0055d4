// The kernels of device builds (node, CUDA): TensorFlow.js kernels, with host loops through a copy for what those refuse
// (uint32, empty operands, random numbers). Fused primitives come from core's fallbacks.
import type { AnyKernel, FusedKernels, Operands, RequiredKernels } from '@xmoe/core';
import type { BoxStore } from '../box.js';
import type { Tfjs } from '../tfjs-module.js';
import type { HostKernels } from './host.js';
import { createNativeCalls, needsHost } from './native-calls.js';
import { nativeElementwise } from './native-elementwise.js';
import { nativeIndexing } from './native-indexing.js';
import { nativeMatmul } from './native-matmul.js';

type NativeTable = RequiredKernels & Pick<FusedKernels, 'softmax'>;

export function nativeKernels(tf: Tfjs, backendName: string, store: BoxStore, host: HostKernels): NativeTable {
  const calls = createNativeCalls(tf, backendName, store);
  const exact = backendName === 'tensorflow';
  const webgpu = backendName === 'webgpu';
  // Of the wasm build only the products can be trusted through the public kernels: Select and Cast leave the bounds of
  // bool and broadcast operands, int32 goes through float32, and UnsortedSegmentSum is missing.
  const native: Partial<NativeTable> =
    backendName === 'wasm'
      ? { ...host, ...nativeMatmul(calls, store), softmax: host.softmax }
      : {
          ...nativeElementwise(calls, host, { functions: exact, integers: exact || webgpu }),
          ...nativeIndexing(calls, { exactOrder: exact, wholeSums: !webgpu }),
          ...nativeMatmul(calls, store),
        };
  const table: Record<string, AnyKernel> = { iota: host.iota as AnyKernel, random: host.random as AnyKernel };
  for (const [name, kernel] of Object.entries(native) as [keyof NativeTable, AnyKernel][]) {
    const onHost = host[name] as AnyKernel;
    table[name] = (inputs, outputs, attributes) => {
      if (anyNeedsHost(inputs) || anyNeedsHost(outputs)) onHost(inputs, outputs, attributes);
      else calls.step(() => kernel(inputs, outputs, attributes));
    };
  }
  return table as unknown as NativeTable;
}

function anyNeedsHost(operands: Operands): boolean {
  return Object.values(operands).some(needsHost);
}
