// Between numbers of the host and how they lie on the device: bools as u32, float16 as bits, whole words.
import { decodeFloat16, encodeFloat16, type DType, type TensorData } from '@xmoe/core';

/** `length` host numbers as device words. */
export function encode(dtype: DType, data: ArrayLike<number>, length: number): ArrayBufferView {
  switch (dtype) {
    case 'float32':
      return data instanceof Float32Array ? data : Float32Array.from(data);
    case 'int32':
      return data instanceof Int32Array ? data : Int32Array.from(data);
    case 'uint32':
      return data instanceof Uint32Array ? data : Uint32Array.from(data);
    case 'bool':
      return Uint32Array.from(data, (value) => (value !== 0 ? 1 : 0));
    case 'float16': {
      const halves = new Uint16Array(Math.ceil(length / 2) * 2);
      for (let i = 0; i < length; i++) halves[i] = encodeFloat16(data[i]!);
      return halves;
    }
  }
}

/** `length` elements from device words. */
export function decode(dtype: DType, bytes: ArrayBuffer, length: number): TensorData {
  switch (dtype) {
    case 'float32':
      return new Float32Array(bytes, 0, length);
    case 'int32':
      return new Int32Array(bytes, 0, length);
    case 'uint32':
      return new Uint32Array(bytes, 0, length);
    case 'bool':
      return Uint8Array.from(new Uint32Array(bytes, 0, length));
    case 'float16':
      return Float32Array.from(new Uint16Array(bytes, 0, length), decodeFloat16);
  }
}
