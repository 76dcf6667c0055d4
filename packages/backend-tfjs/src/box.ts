// Boxes: the buffers of this backend. A box holds one tf.Tensor (or host words for uint32) that kernels fill or replace.
// Not the place for kernels; how their contents are reached is in memory.ts.
import { bytesPerElement, XMoEError, type BackendBuffer, type DType, type Operand } from '@xmoe/core';
import type { TfDType, TfStorage, TfTensor, Tfjs } from './tfjs-module.js';

export type HostArray = Float32Array | Int32Array | Uint32Array | Uint8Array;

/** Storage behind an Operand. `tensor` appears with the first write; uint32 lives in `words` on every build. */
export interface Box extends BackendBuffer {
  readonly dtype: DType;
  readonly length: number;
  tensor: TfTensor | null;
  words: Uint32Array | null;
  /** The tensor has been shared with the user: it is never written in place again. */
  exposed: boolean;
}

export function boxOf(operand: Operand): Box {
  return operand.buffer as Box;
}

export interface BoxStore {
  readonly storage: TfStorage;
  allocate(dtype: DType, length: number): Box;
  free(box: Box): void;
  /** Puts `tensor` into the box and disposes the one before it. */
  replace(box: Box, tensor: TfTensor): void;
  /** The box's tensor, made on first use (contents undefined). */
  tensorOf(box: Box): TfTensor;
  /** A tensor that may be written in place: fresh when the present one is shared with the user. */
  ownTensor(box: Box, keepContents: boolean): TfTensor;
  /** A kept tensor over new storage holding `values` (not copied on every build). */
  make(values: HostArray | null, length: number, dtype: DType): TfTensor;
  bytes(): number;
  disposeAll(): void;
}

/** The dtype of TensorFlow.js that stores `dtype`. */
export function tfDType(dtype: DType): TfDType {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new XMoEError('dtype', `TensorFlow.js has no ${dtype} tensors`, {
    op: 'allocate',
    hint: dtype === 'float16' ? 'use float32, or a backend whose capabilities.float16 is true' : 'cast to int32 first',
  });
}

function emptyArray(kind: TfDType, length: number): HostArray {
  return kind === 'float32' ? new Float32Array(length) : kind === 'int32' ? new Int32Array(length) : new Uint8Array(length);
}

export function createBoxStore(tf: Tfjs, storage: TfStorage): BoxStore {
  const engine = tf.engine();
  const live = new Set<Box>();
  let bytes = 0;
  // The wasm build allocates without filling when it is given no values; the cpu build needs an array.
  const allocatesBare = 'wasm' in storage;

  const make = (values: HostArray | null, length: number, dtype: DType): TfTensor => {
    const kind = tfDType(dtype);
    const dataId = storage.write(values ?? (allocatesBare ? null : emptyArray(kind, length)), [length], kind);
    return engine.keep(engine.makeTensorFromTensorInfo({ dataId, shape: [length], dtype: kind }, storage as never));
  };
  const replace = (box: Box, tensor: TfTensor): void => {
    box.tensor?.dispose();
    box.tensor = engine.keep(tensor);
    box.exposed = false;
  };
  const tensorOf = (box: Box): TfTensor => (box.tensor ??= make(null, box.length, box.dtype));

  return {
    storage,
    allocate(dtype, length) {
      const words = dtype === 'uint32' ? new Uint32Array(length) : null;
      if (!words) tfDType(dtype); // refuses float16 here, by name
      const box: Box = { dtype, length, tensor: null, words, exposed: false };
      live.add(box);
      bytes += length * bytesPerElement(dtype);
      return box;
    },
    free(box) {
      if (!live.delete(box)) return;
      bytes -= box.length * bytesPerElement(box.dtype);
      box.tensor?.dispose();
      box.tensor = null;
      box.words = null;
    },
    replace,
    tensorOf,
    ownTensor(box, keepContents) {
      const tensor = tensorOf(box);
      if (!box.exposed && storage.refCount(tensor.dataId) <= 1) return tensor;
      replace(box, make(keepContents ? storage.readSync(tensor.dataId).slice() : null, box.length, box.dtype));
      return box.tensor!;
    },
    make,
    bytes: () => bytes,
    disposeAll() {
      live.forEach((box) => this.free(box));
    },
  };
}
