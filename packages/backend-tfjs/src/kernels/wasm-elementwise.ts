// unary, binary and transpose on the wasm build's SIMD kernels where they exist, are exact and the operand is long enough
// to pay for the call; the host kernels otherwise.
import { sizeOf, type BinaryOp, type RequiredKernels, type UnaryOp } from '@xmoe/core';
import { collapseBroadcast } from '@xmoe/core/backend';
import type { WasmBinary, WasmUnary } from '../wasm-heap.js';
import type { WasmContext } from './wasm-context.js';

const UNARY: Partial<Record<UnaryOp, WasmUnary | 'Sigmoid'>> = {
  negate: 'Neg',
  abs: 'Abs',
  sqrt: 'Sqrt',
  rsqrt: 'Rsqrt',
  square: 'Square',
  reciprocal: 'Reciprocal',
  relu: 'Relu',
  floor: 'Floor',
  ceil: 'Ceil',
  sigmoid: 'Sigmoid',
};

const BINARY: Partial<Record<BinaryOp, WasmBinary>> = { add: 'Add', subtract: 'Sub', multiply: 'Multiply', divide: 'RealDiv' };

/** Below this many elements a host loop beats a call of about 3 µs. */
const SHORT = 1024;
/** XNNPACK takes up to six axes. */
const MAX_RANK = 6;
/** From five axes on TensorFlow.js transposes element by element, twenty times slower than a host loop over runs. */
const MAX_TRANSPOSED_AXES = 4;

type Elementwise = 'unary' | 'binary' | 'transpose';

export function wasmElementwise({ heap, ...context }: WasmContext, host: Pick<RequiredKernels, Elementwise>): Pick<RequiredKernels, Elementwise> {
  return {
    unary({ x }, { out }, attributes) {
      const op = UNARY[attributes.op];
      const length = sizeOf(out.shape);
      if (!op || length < SHORT || x.dtype !== 'float32') return host.unary({ x }, { out }, attributes);
      const target = context.output(out);
      heap.unary(op, context.input(x), target, length);
    },
    binary({ a, b }, { out }, attributes) {
      const op = BINARY[attributes.op];
      const length = sizeOf(out.shape);
      if (!op || length < SHORT || out.dtype !== 'float32') return host.binary({ a, b }, { out }, attributes);
      const [left, right] = collapseBroadcast(out.shape, a.shape, b.shape).inputs;
      if (left.length > MAX_RANK) return host.binary({ a, b }, { out }, attributes);
      const target = context.output(out);
      heap.binary(op, { address: context.input(a), shape: left }, { address: context.input(b), shape: right }, target, length);
    },
    transpose({ x }, { out }, attributes) {
      const kept = attributes.permutation.filter((axis) => x.shape[axis] !== 1);
      const moved = kept.some((axis, index) => index > 0 && axis < kept[index - 1]);
      const length = sizeOf(out.shape);
      if (!moved || length < SHORT || x.dtype === 'uint32' || x.dtype === 'bool' || kept.length > MAX_TRANSPOSED_AXES) {
        return host.transpose({ x }, { out }, attributes);
      }
      const order = [...kept].sort((i, j) => i - j);
      const target = context.output(out);
      heap.permute({ address: context.input(x), shape: order.map((axis) => x.shape[axis]) }, target, kept.map((axis) => order.indexOf(axis)));
    },
  };
}
