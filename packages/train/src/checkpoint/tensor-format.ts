// The table of element types that a checkpoint can hold, and the type of one stored tensor. Not a tensor library: plain
// typed arrays, no backend.
import { decodeFloat16, encodeFloat16, XMoEError } from '@xmoe/core';

export type StoredDType = 'float64' | 'float32' | 'int32' | 'uint32' | 'float16' | 'bfloat16' | 'uint8' | 'bool';
export type StoredArray = Float64Array | Float32Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;

/** What is known of a tensor without its values. */
export interface TensorInfo {
  name: string;
  dtype: StoredDType;
  shape: readonly number[];
}

/** Entries `begin` … `begin + count − 1` of the first axis. */
export interface Entries {
  readonly begin: number;
  readonly count: number;
}

/** A tensor that is read when it is wanted, so that not all of them are in memory at once. */
export interface ReadableTensor extends TensorInfo {
  /** As in {@link StoredTensor}. */
  read(): Promise<StoredArray>;
}

/** One of a file, of which some entries can be had without the others. */
export interface FiledTensor extends ReadableTensor {
  read(entries?: Entries): Promise<StoredArray>;
}

/**
 * One tensor on the host, row-major. As everywhere in xmoe, float16 comes as a Float32Array (which holds it exactly), so does bfloat16, and
 * bool as 0 or 1 in a Uint8Array. A file takes half precision as raw bits in a Uint16Array as well.
 */
export interface StoredTensor extends TensorInfo {
  data: StoredArray;
}

interface Format {
  /** The name in a safetensors header. */
  tag: string;
  bytes: number;
  arrayOf: new (buffer: ArrayBuffer, byteOffset: number, length: number) => StoredArray;
}

export const FORMATS: Readonly<Record<StoredDType, Format>> = {
  float64: { tag: 'F64', bytes: 8, arrayOf: Float64Array },
  float32: { tag: 'F32', bytes: 4, arrayOf: Float32Array },
  int32: { tag: 'I32', bytes: 4, arrayOf: Int32Array },
  uint32: { tag: 'U32', bytes: 4, arrayOf: Uint32Array },
  float16: { tag: 'F16', bytes: 2, arrayOf: Uint16Array },
  bfloat16: { tag: 'BF16', bytes: 2, arrayOf: Uint16Array },
  uint8: { tag: 'U8', bytes: 1, arrayOf: Uint8Array },
  bool: { tag: 'BOOL', bytes: 1, arrayOf: Uint8Array },
};

/** The dtype of a safetensors tag. @throws XMoEError `checkpoint` naming the tensor and the tag */
export function dtypeOfTag(tag: unknown, tensor: string): StoredDType {
  const found = (Object.keys(FORMATS) as StoredDType[]).find((dtype) => FORMATS[dtype].tag === tag);
  if (found) return found;
  const tags = Object.values(FORMATS).map((format) => format.tag);
  throw new XMoEError('checkpoint', `tensor ${tensor} has the dtype ${JSON.stringify(tag)}, which is not supported`, {
    hint: `convert it to one of ${tags.join(', ')}`,
  });
}

/** The number of elements of `shape`; a scalar's shape is []. @throws XMoEError `checkpoint` for a shape that is none */
export function elementCount(shape: readonly number[], tensor: string): number {
  let count = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new XMoEError('checkpoint', `tensor ${tensor} has the impossible shape [${shape.join(', ')}]`);
    }
    count *= size;
    // At every step: a zero further on would hide that the product is no number any more.
    if (!Number.isSafeInteger(count)) throw new XMoEError('checkpoint', `tensor ${tensor} is too large: [${shape.join(', ')}]`);
  }
  return count;
}

/** Checks that name, dtype, shape and data of `tensor` agree. @throws XMoEError `checkpoint` naming the tensor */
export function checkTensor({ name, dtype, shape, data }: StoredTensor): void {
  const format = FORMATS[dtype];
  if (!format) throw new XMoEError('checkpoint', `tensor ${name} has the unknown dtype ${String(dtype)}`);
  if (!(data instanceof format.arrayOf) && !(isHalf(dtype) && data instanceof Float32Array)) {
    const given = Object.prototype.toString.call(data).slice(8, -1);
    throw new XMoEError('checkpoint', `tensor ${name} is ${dtype} but its data is a ${given}`, {
      hint: `pass a ${isHalf(dtype) ? 'Float32Array' : format.arrayOf.name}`,
    });
  }
  const count = elementCount(shape, name);
  if (data.length !== count) {
    throw new XMoEError('checkpoint', `tensor ${name} has ${data.length} elements but its shape is [${shape.join(', ')}]`);
  }
}

const isHalf = (dtype: StoredDType): dtype is 'float16' | 'bfloat16' => dtype === 'float16' || dtype === 'bfloat16';

/** bfloat16 is the upper half of a float32: the bits to the nearest, ties to even. NaN stays NaN. */
function encodeBfloat16(value: number): number {
  WORD.setFloat32(0, value);
  const bits = WORD.getUint32(0);
  return Number.isNaN(value) ? 0x7fc0 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function decodeBfloat16(bits: number): number {
  WORD.setUint32(0, bits * 0x10000);
  return WORD.getFloat32(0);
}

const WORD = new DataView(new ArrayBuffer(4));

/** The bytes that a file holds for the tensor: a view of its data, or a copy for half precision given as a Float32Array. */
export function bytesOf({ dtype, data }: StoredTensor): Uint8Array {
  const stored = isHalf(dtype) && data instanceof Float32Array ? Uint16Array.from(data, dtype === 'float16' ? encodeFloat16 : encodeBfloat16) : data;
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

/** The host data of a tensor from exactly its bytes in a file. */
export function dataOf(dtype: StoredDType, buffer: ArrayBuffer): StoredArray {
  const { arrayOf, bytes } = FORMATS[dtype];
  const stored = new arrayOf(buffer, 0, buffer.byteLength / bytes);
  return isHalf(dtype) ? Float32Array.from(stored, dtype === 'float16' ? decodeFloat16 : decodeBfloat16) : stored;
}

/** Files are little-endian and arrays are read in place, so the machine has to be too. */
export function assertLittleEndian(): void {
  if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1) {
    throw new XMoEError('checkpoint', 'this machine is big-endian; checkpoints are little-endian');
  }
}
