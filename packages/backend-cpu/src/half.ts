// float16 for every kernel: decodes half operands to float32 scratch, runs the float32 kernel, rounds its outputs.
// Kernels that only move elements need none of it: they copy the bits.
import { decodeFloat16, encodeFloat16, KERNEL_OUTPUTS, type KernelName, type Kernels, type Operand } from '@xmoe/core';
import { CpuBuffer, elements } from './storage.js';

let decodeTable: Float32Array | undefined;

/** Decodes a whole array of float16 bits. */
export function decodeHalves(bits: Uint16Array): Float32Array {
  decodeTable ??= Float32Array.from({ length: 65536 }, (_, pattern) => decodeFloat16(pattern));
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = decodeTable[bits[i]];
  return out;
}

/** Rounds numbers to float16 bits. */
export function encodeHalves(values: ArrayLike<number>, out: Uint16Array): void {
  for (let i = 0; i < values.length; i++) out[i] = encodeFloat16(values[i]);
}

/** `kernel` (of float32), for float16 operands too. */
export function withHalf<K extends KernelName>(name: K, kernel: Kernels[K]): Kernels[K] {
  const run = kernel as unknown as (...operands: readonly unknown[]) => void;
  const outputs: readonly number[] = KERNEL_OUTPUTS[name];
  const wrapped = (...operands: readonly unknown[]): void => {
    if (!operands.some(isHalf)) return run(...operands);
    const decoded = operands.map((operand, position) =>
      isHalf(operand) ? decodedOperand(operand, outputs.includes(position)) : operand,
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

function decodedOperand(operand: Operand, isOutput: boolean): Operand {
  const bits = elements(operand) as Uint16Array;
  const data = isOutput ? new Float32Array(bits.length) : decodeHalves(bits);
  return { buffer: new CpuBuffer(data), shape: operand.shape, dtype: 'float32' };
}
