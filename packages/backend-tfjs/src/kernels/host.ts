// The host kernels over whichever memory they are given. Fused primitives that are not here are kernels of the build, or core's fallbacks.
import type { AnyKernel, Kernels, Operand, Operands } from '@xmoe/core';
import { HOST_KERNELS, UPDATERS, type AnyHostKernel, type HostView, type HostViewField, type HostViews } from '@xmoe/kernels-host';
import type { HostArray } from '../box.js';
import type { Memory } from '../memory.js';

/** Made of products and activations of the build (experts.ts, wasm-attention.ts), or of other primitives by core. */
const ELSEWHERE = ['attention', 'attentionGrad', 'dispatchClaims', 'groupedLinear', 'groupedLinearWeightGrad', 'expertsGrad', 'expertsForward', 'expertsBackward'] as const;

export type HostKernels = Omit<Kernels, (typeof ELSEWHERE)[number]>;

export function hostKernels(memory: Memory): HostKernels {
  const own = Object.entries(HOST_KERNELS).filter(([name]) => !ELSEWHERE.some((other) => other === name));
  const adapted = own.map(([name, kernel]) => [name, overMemory(UPDATERS.has(name) ? memory.update : memory.run, kernel as AnyHostKernel)]);
  return Object.fromEntries(adapted) as HostKernels;
}

/** One of those that are elsewhere on other builds, over `memory`. */
export function hostDispatch(memory: Memory): Kernels['dispatchClaims'] {
  return overMemory(memory.run, HOST_KERNELS.dispatchClaims as unknown as AnyHostKernel) as unknown as Kernels['dispatchClaims'];
}

function overMemory(run: Memory['run'], kernel: AnyHostKernel): AnyKernel {
  return (inputs, outputs, attributes) =>
    run(operandsOf(outputs), operandsOf(inputs), (written, read) => kernel(viewsOf(inputs, read), viewsOf(outputs, written), attributes));
}

function operandsOf(fields: Operands): Operand[] {
  const operands: Operand[] = [];
  for (const name in fields) {
    const field = fields[name];
    if (field !== null) operands.push(...('buffer' in field ? [field] : field));
  }
  return operands;
}

/** The fields with their arrays, which come in the order of `operandsOf`. */
function viewsOf(fields: Operands, arrays: readonly HostArray[]): HostViews {
  let next = 0;
  const view = ({ shape, dtype }: Operand): HostView => ({ data: arrays[next++], shape, dtype });
  const views: Record<string, HostViewField> = {};
  for (const name in fields) {
    const field = fields[name];
    views[name] = field === null ? null : 'buffer' in field ? view(field) : field.map(view);
  }
  return views;
}
