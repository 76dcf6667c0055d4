// float16 for every kernel: decodes half operands to float32 scratch, runs the float32 kernel, rounds its outputs.
// Kernels that only move elements need none of it: they copy the bits.
import { decodeFloat16, encodeFloat16, type AnyKernel, type Operand, type OperandField, type Operands } from '@xmoe/core';
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
export function withHalf<Kernel>(kernel: Kernel, scratch: FloatScratch = freshArray): Kernel {
  const run = kernel as AnyKernel;
  const wrapped: AnyKernel = (inputs, outputs, attributes) => {
    if (!hasHalf(inputs) && !hasHalf(outputs)) return run(inputs, outputs, attributes);
    const results = decodedAll(outputs, true, scratch);
    run(decodedAll(inputs, false, scratch), results, attributes);
    for (const name in outputs) {
      const target = outputs[name];
      if (isHalf(target)) encodeHalves(elements(results[name] as Operand), elements(target) as Uint16Array);
    }
  };
  return wrapped as Kernel;
}

function hasHalf(operands: Operands): boolean {
  for (const name in operands) {
    const field = operands[name];
    if (isHalf(field) || (Array.isArray(field) && field.some(isHalf))) return true;
  }
  return false;
}

function isHalf(field: OperandField): field is Operand {
  return (field as Partial<Operand> | null)?.dtype === 'float16';
}

/** Lists are of inputs. */
function decodedAll(operands: Operands, isOutput: boolean, scratch: FloatScratch): Operands {
  const decode = (operand: Operand): Operand => (isHalf(operand) ? decodedOperand(operand, isOutput, scratch) : operand);
  const decoded: Record<string, OperandField> = {};
  for (const name in operands) {
    const field = operands[name];
    decoded[name] = field === null ? null : 'buffer' in field ? decode(field) : field.map(decode);
  }
  return decoded;
}

function decodedOperand(operand: Operand, isOutput: boolean, scratch: FloatScratch): Operand {
  const bits = elements(operand) as Uint16Array;
  const data = scratch(bits.length);
  if (!isOutput) decodeHalves(bits, data);
  return { buffer: new CpuBuffer(data, 'float32'), shape: operand.shape, dtype: 'float32' };
}
