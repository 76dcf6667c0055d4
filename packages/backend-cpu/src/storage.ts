// What a buffer of this backend is, and how kernels look inside an operand. No arithmetic.
import { XMoEError, type BackendBuffer, type DType, type Operand } from '@xmoe/core';
import { hostArray } from '@xmoe/core/backend';
import { floats as floatsOf, int32s as int32sOf, type FloatArray, type HostView, type NumericArray } from '@xmoe/kernels-host';

/** Whether float32 operands are stored and computed in single or in double precision. */
export type Precision = 'float32' | 'float64';

export class CpuBuffer implements BackendBuffer {
  declare readonly __backendBuffer?: never;
  /** Undefined once freed, so that a stale handle fails loudly instead of reading a reused array. */
  data: NumericArray | undefined;
  /** As allocated: the pool takes it back as such. */
  readonly dtype: DType;

  constructor(data: NumericArray, dtype: DType) {
    this.data = data;
    this.dtype = dtype;
  }
}

/** A fresh array of `length` elements. Error `memory` where the host has no room for it. */
export function createStorage(dtype: DType, length: number, precision: Precision): NumericArray {
  try {
    return createArray(dtype, length, precision);
  } catch (cause) {
    throw new XMoEError('memory', `no room for an array of ${length} ${dtype}`, { op: 'cpu', hint: 'make the batch or the model smaller', cause });
  }
}

function createArray(dtype: DType, length: number, precision: Precision): NumericArray {
  if (dtype === 'float16') return new Uint16Array(length);
  return dtype === 'float32' && precision === 'float64' ? new Float64Array(length) : hostArray(dtype, length);
}

/** The elements of an operand of any dtype. Error `backend` for a foreign buffer, `disposed` for a freed one. */
export function elements(operand: Operand): NumericArray {
  const { buffer } = operand;
  if (!(buffer instanceof CpuBuffer)) {
    throw new XMoEError('backend', 'an operand belongs to another backend', {
      op: 'cpu',
      hint: 'read the tensor there and make it again with the engine of this backend',
    });
  }
  if (buffer.data === undefined) {
    throw new XMoEError('disposed', 'an operand was used after its buffer was freed', {
      op: 'cpu',
      hint: 'keep the tensor alive until its last use',
    });
  }
  return buffer.data;
}

/** An operand as the host kernels take it. */
export function viewOf(operand: Operand): HostView {
  return { data: elements(operand), shape: operand.shape, dtype: operand.dtype };
}

/** The elements of a float32 operand (float16 operands reach kernels decoded). */
export function floats(operand: Operand): FloatArray {
  return floatsOf(viewOf(operand));
}

export function int32s(operand: Operand): Int32Array {
  return int32sOf(viewOf(operand));
}
