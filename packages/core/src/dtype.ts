// The dtypes, their storage, and float16 conversion. Not the place for shape logic.
import { XMoEError } from './errors.js';

/**
 * float32 is the working type. float16 stores and feeds matmuls; accumulation stays in float32. int32 holds ids and
 * offsets, uint32 random keys, bool masks (one byte, 0 or 1).
 */
export type DType = 'float32' | 'float16' | 'int32' | 'uint32' | 'bool';

export type FloatDType = 'float32' | 'float16';

/** What a read gives back. Float64Array only from a backend in float64 mode; float16 is decoded to Float32Array. */
export type TensorData = Float32Array | Float64Array | Int32Array | Uint32Array | Uint8Array;

/** The lowest finite float32: the maximum of no numbers where −∞ would become NaN in a difference. */
export const LOWEST_FLOAT32 = -(2 ** 128 - 2 ** 104);

export const DTYPES: readonly DType[] = ['float32', 'float16', 'int32', 'uint32', 'bool'];

const BYTES: Record<DType, number> = { float32: 4, float16: 2, int32: 4, uint32: 4, bool: 1 };

/** Bytes that one element takes in storage. */
export function bytesPerElement(dtype: DType): number {
  return BYTES[dtype];
}

export function isFloat(dtype: DType): dtype is FloatDType {
  return dtype === 'float32' || dtype === 'float16';
}

/** A host array of `dtype` with `length` zeros (float16 as Float32Array). */
export function hostArray(dtype: DType, length: number): TensorData {
  switch (dtype) {
    case 'float32':
    case 'float16':
      return new Float32Array(length);
    case 'int32':
      return new Int32Array(length);
    case 'uint32':
      return new Uint32Array(length);
    case 'bool':
      return new Uint8Array(length);
  }
}

/** The dtype that a typed array or a list of numbers or booleans stands for when none is given. */
export function inferDType(data: TensorData | readonly number[] | readonly boolean[]): DType {
  if (data instanceof Float32Array || data instanceof Float64Array) return 'float32';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof Uint32Array) return 'uint32';
  if (data instanceof Uint8Array) return 'bool';
  if (Array.isArray(data)) return data.length > 0 && typeof data[0] === 'boolean' ? 'bool' : 'float32';
  throw new XMoEError('dtype', 'data is neither a typed array nor a list of numbers or booleans', {
    op: 'tensor',
    hint: 'pass a number[] or boolean[], a Float32Array, Int32Array, Uint32Array or Uint8Array; other typed arrays need a dtype',
  });
}

/** Numbers as integers, in the way of the cast primitive: towards 0, beyond the range of `out` its nearest end, NaN as 0. */
export function toWhole(values: ArrayLike<number>, out: Int32Array | Uint32Array): void {
  const [low, high] = out instanceof Int32Array ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
  for (let i = 0; i < out.length; i++) out[i] = Math.min(high, Math.max(low, values[i]!)); // a typed array truncates, NaN to 0
}

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** The float16 bit pattern nearest to `value` (ties to even; overflow gives infinity). */
export function encodeFloat16(value: number): number {
  scratchFloat[0] = value;
  const bits = scratchBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // at or above 65520 rounds to infinity
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 aligns the mantissa so that the hardware rounds it at 2^-24.
    scratchBits[0] = magnitude;
    scratchFloat[0] = scratchFloat[0]! + 0.5;
    return sign | (scratchBits[0]! - 0x3f000000);
  }
  const roundToEven = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((roundToEven - 0x38000000) >>> 13);
}

/** The number that a float16 bit pattern stands for. */
export function decodeFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}
