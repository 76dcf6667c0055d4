// float16 for every kernel: decodes half operands to float32 scratch, runs the float32 kernel, rounds its outputs.
// Kernels that only move elements need none of it: they copy the bits.
import { decodeFloat16, encodeFloat16, KERNEL_OUTPUTS, type KernelName, type Kernels, type Operand } from '@xmoe/core';
import { CpuBuffer, elements } from './storage.js';

let decodeTable: Float32Array | undefined;

/** Decodes a whole array of float16 bits. */
export function decodeHalves(bits: Uint16Array, out: Float32Array = new Float32Array(bits.length)): Float32Array {
  decodeTable ??= Float32Array.from({ length: 65536 }, (_, pattern) => decodeFloat16(pattern));
  for (let i = 0; i < bits.length; i++) out[i] = decodeTable[bits[i]];
  return out;
}

/** Rounds numbers to float16 bits. */
export function encodeHalves(values: ArrayLike<number>, out: Uint16Array): void {
  for (let i = 0; i < values.length; i++) out[i] = encodeFloat16(values[i]);
}

/** Where decoded operands go. */
type FloatScratch = (length: number) => Float32Array;

const freshArray: FloatScratch = (length) => new Float32Array(length);

/** `kernel` (of float32), for float16 operands too: they are decoded into arrays that `scratch` makes. */
export function withHalf<K extends KernelName>(name: K, kernel: Kernels[K], scratch: FloatScratch = freshArray): Kernels[K] {
  const run = kernel as unknown as (...operands: readonly unknown[]) => void;
  const outputs: readonly number[] = KERNEL_OUTPUTS[name];
  const wrapped = (...operands: readonly unknown[]): void => {
    if (!operands.flat().some(isHalf)) return run(...operands);
    const decode = (operand: unknown, isOutput: boolean): unknown => (isHalf(operand) ? decodedOperand(operand, isOutput, scratch) : operand);
    const decoded = operands.map((operand, position) =>
      // A list is of inputs.
      Array.isArray(operand) ? operand.map((one) => decode(one, false)) : decode(operand, outputs.includes(position)),
    );
    run(...decoded);
    for (const position of outputs) {
      const target = operands[position];
      if (isHalf(target)) encodeHalves(elements(decoded[position] as Operand), elements(target) as Uint16Array);
    }
  };
  return wrapped as unknown as Kernels[K];
}

function isHalf(operand: unknown): operand is Operand {
  return typeof operand === 'object' && operand !== null && (operand as { dtype?: unknown }).dtype === 'float16';
}

function decodedOperand(operand: Operand, isOutput: boolean, scratch: FloatScratch): Operand {
  const bits = elements(operand) as Uint16Array;
  const data = scratch(bits.length);
  if (!isOutput) decodeHalves(bits, data);
  return { buffer: new CpuBuffer(data, 'float32'), shape: operand.shape, dtype: 'float32' };
}
