// adamStep on the wasm build: a chain of SIMD calls over pieces in the cache, in place; small tensors use the host loop.
import { sizeOf, type FusedKernels, type Operand } from '@xmoe/core';
import type { WasmBinary } from '../wasm-heap.js';
import { PIECE, type WasmContext } from './wasm-context.js';

const FLOAT = 4;
/** Below this many elements the host loop beats fourteen calls. */
const SHORT = 4096;

export function wasmOptimizer(context: WasmContext, host: Pick<FusedKernels, 'adamStep'>): Pick<FusedKernels, 'adamStep'> {
  return {
    adamStep({ gradients, hyper }, { parameters, m, v }, attributes) {
      // What needs memory comes first: where there is no room, no parameter has moved.
      for (const operand of [...parameters, ...m, ...v]) context.inout(operand);
      for (const slot of [0, 1]) context.heap.scratch(slot, PIECE);
      parameters.forEach((parameter, index) => {
        const [g, first, second] = [gradients[index], m[index], v[index]];
        if (sizeOf(parameter.shape) < SHORT) host.adamStep({ gradients: [g], hyper }, { parameters: [parameter], m: [first], v: [second] }, attributes);
        else stepLong(context, parameter, g, first, second, hyper, attributes.decay);
      });
    },
  };
}

function stepLong(
  context: WasmContext, parameter: Operand, gradient: Operand, m: Operand, v: Operand, hyper: Operand, decay: boolean,
): void {
  const { heap } = context;
  const size = sizeOf(parameter.shape);
  const [p, first, second] = [context.inout(parameter), context.inout(m), context.inout(v)];
  const g = context.input(gradient);
  const [rate, beta1, beta2, epsilon, weightDecay, correction1, correction2, scale, rest1, rest2] = heap.floats(context.input(hyper), 10).slice();
  if (scale === 0) return;
  context.pieces(size, 1, (start, n) => {
    const at = start * FLOAT;
    const [slope, work] = [heap.scratch(0, n), heap.scratch(1, n)];
    const into = (op: WasmBinary, a: number, b: number, out: number) =>
      heap.binary(op, { address: a, shape: [n] }, { address: b, shape: [n] }, out, n);
    heap.scalar('Multiply', g + at, scale, slope, n);
    heap.scalar('Multiply', first + at, beta1, first + at, n);
    heap.scalar('Multiply', slope, rest1, work, n);
    into('Add', first + at, work, first + at); // m ← β1·m + (1 − β1)·g
    heap.unary('Square', slope, slope, n);
    heap.scalar('Multiply', second + at, beta2, second + at, n);
    heap.scalar('Multiply', slope, rest2, slope, n);
    into('Add', second + at, slope, second + at); // v ← β2·v + (1 − β2)·g²
    heap.scalar('Multiply', second + at, 1 / correction2, work, n);
    heap.unary('Sqrt', work, work, n);
    heap.scalar('Add', work, epsilon, work, n);
    into('RealDiv', first + at, work, work);
    heap.scalar('Multiply', work, rate / correction1, work, n);
    if (decay && weightDecay !== 0) heap.scalar('Multiply', p + at, 1 - rate * weightDecay, p + at, n);
    into('Sub', p + at, work, p + at);
  });
}
