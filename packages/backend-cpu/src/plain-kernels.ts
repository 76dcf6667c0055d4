// The plain table, which is the reference of all backends: the host kernels over operands of this backend. All but those that move elements
// take float16 decoded.
import type { AnyKernel, Kernels, Operand, OperandField, Operands } from '@xmoe/core';
import { HOST_KERNELS, MOVERS, type AnyHostKernel, type HostViewField, type HostViews } from '@xmoe/kernels-host';
import { withHalf } from './half.js';
import { viewOf } from './storage.js';

export function createKernels(): Kernels {
  const adapted = Object.entries(HOST_KERNELS).map(([name, kernel]) => {
    const own = overOperands(kernel as AnyHostKernel);
    return [name, MOVERS.has(name) ? own : withHalf(own)];
  });
  return Object.fromEntries(adapted) as Kernels;
}

function overOperands(kernel: AnyHostKernel): AnyKernel {
  return (inputs, outputs, attributes) => kernel(viewsOf(inputs), viewsOf(outputs), attributes);
}

function viewsOf(operands: Operands): HostViews {
  const views: Record<string, HostViewField> = {};
  for (const name in operands) {
    const field: OperandField = operands[name];
    views[name] = field === null ? null : Array.isArray(field) ? field.map(viewOf) : viewOf(field as Operand);
  }
  return views;
}
