// Boxes: the buffers of this backend. A box holds one tf.Tensor (or host words for uint32) that kernels fill or replace.
// Not the place for kernels; how their contents are reached is in memory.ts.
import { XMoEError, type BackendBuffer, type DType, type Operand } from '@xmoe/core';
import { bytesPerElement, hostArray } from '@xmoe/core/backend';
import { allocatorOf, guardAllocation, requireRoom } from './wasm-allocator.js';
import type { TfDType, TfStorage, TfTensor, Tfjs } from './tfjs-module.js';

export type HostArray = Float32Array | Int32Array | Uint32Array | Uint8Array;

/** A variable of TensorFlow. */
export interface BoxVariable {
  readonly handle: number;
  readonly shape: readonly number[];
  /** A kept tensor with the present contents; a later write in place does not change it. */
  read(): TfTensor;
  release(): void;
}

/** Storage behind an Operand. uint32 lives in `words` on every build. */
export class Box implements BackendBuffer {
  declare readonly __backendBuffer?: never;
  readonly dtype: DType;
  readonly length: number;
  /** Made by `allocate` on the wasm build, which has an end; with the first write elsewhere. */
  tensor: TfTensor | null = null;
  words: Uint32Array | null = null;
  /** Where TensorFlow's optimizer keeps the contents in place; `tensor` is then a reading of it, or null. */
  variable: BoxVariable | null = null;
  /** The contents rounded for products, until they change. */
  rounded: { readonly id: number; release(): void } | null = null;
  /** What the host knows of a few numbers without reading them, NaN where it does not; null: nothing. On TensorFlow's own library. */
  known: Float32Array | null = null;
  /** It holds 0, n, 2n, …, and would for any data; 0: something else. On TensorFlow's own library. */
  spacing = 0;
  /** The tensor has been shared with the user: it is never written in place again. */
  exposed = false;
  /** Its buffer was freed: nobody may look inside. */
  freed = false;
  /** Recordings that use it. */
  retained = 0;
  /** Its buffer was freed, but recordings still put something in it. */
  released = false;

  constructor(dtype: DType, length: number) {
    this.dtype = dtype;
    this.length = length;
  }

  /** Before the variable is written: only it holds its memory then. */
  letGo(): void {
    this.tensor?.dispose();
    this.tensor = null;
    this.rounded?.release();
    this.rounded = null;
    this.known = null;
    this.spacing = 0;
  }

  /** Lets go of what goes with the contents beside the tensor. */
  release(): void {
    this.variable?.release();
    this.variable = null;
    this.rounded?.release();
    this.rounded = null;
    this.known = null;
    this.spacing = 0;
  }
}

/** Numbers at most that a box remembers: what an update is told, not what it works on. */
export const MOST_KNOWN = 16;

/** The box of an operand. Error `backend` for a foreign buffer, `disposed` for a freed one. */
export function boxOf({ buffer }: Operand): Box {
  if (!(buffer instanceof Box)) {
    throw new XMoEError('backend', 'an operand belongs to another backend', {
      op: 'tfjs',
      hint: 'read the tensor there and make it again with the engine of this backend',
    });
  }
  if (buffer.freed) {
    throw new XMoEError('disposed', 'an operand was used after its buffer was freed', { op: 'tfjs', hint: 'keep the tensor alive until its last use' });
  }
  return buffer;
}

export interface BoxStore {
  readonly storage: TfStorage;
  /** Error `memory` when the build has no room, `disposed` after `disposeAll`. */
  allocate(dtype: DType, length: number): Box;
  /** A box that holds `tensor` from now on. */
  hold(tensor: TfTensor, dtype: DType): Box;
  /** Error `disposed` for a box that is freed already. */
  free(buffer: BackendBuffer): void;
  /** For a recording: a box that is freed loses its contents as ever, but may be filled again until as many times `letGo`. */
  retain(box: Box): void;
  letGo(box: Box): void;
  /** Disposes of the contents. */
  empty(box: Box): void;
  /** Puts `tensor` into the box and disposes the one before it. */
  replace(box: Box, tensor: TfTensor): void;
  /** The box's tensor, made on first use (contents undefined). */
  tensorOf(box: Box): TfTensor;
  /** A tensor that may be written in place: fresh when the present one is shared with the user. */
  ownTensor(box: Box, keepContents: boolean): TfTensor;
  /** A kept tensor over new storage holding `values` (not copied on every build). Error `memory` when there is no room. */
  make(values: HostArray | null, length: number, dtype: DType): TfTensor;
  /** Error `memory` unless a kernel of the build can allocate `bytes` by itself now. Only the wasm build can tell. */
  requireRoom(bytes: number): void;
  bytes(): number;
  /** Frees every box and closes the store; false when it was closed before. */
  disposeAll(): boolean;
}

/** The dtype of TensorFlow.js that stores `dtype`. */
export function tfDType(dtype: DType): TfDType {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new XMoEError('dtype', `TensorFlow.js has no ${dtype} tensors`, {
    op: 'allocate',
    hint: dtype === 'float16' ? 'use float32, or a backend whose capabilities.float16 is true' : 'cast to int32 first',
  });
}

/** An array of `length` zeros. Error `memory` when the host has no room for it. */
export function roomyArray(dtype: DType, length: number): HostArray {
  try {
    return hostArray(dtype, length) as HostArray;
  } catch (cause) {
    throw new XMoEError('memory', `no room for an array of ${length} ${dtype}`, { op: 'tfjs', hint: 'make the batch or the model smaller', cause });
  }
}

/** The boxes that are in use. */
function createLiveBoxes() {
  const live = new Set<Box>();
  let bytes = 0;
  let closed = false;
  const empty = (box: Box): void => {
    box.tensor?.dispose();
    box.tensor = null;
    box.release();
  };
  const end = (box: Box): void => {
    box.words = null;
    box.freed = true;
  };
  const free = (buffer: BackendBuffer): void => {
    if (!(buffer instanceof Box) || !live.delete(buffer)) {
      throw new XMoEError('disposed', 'a buffer was freed twice or belongs to another backend', {
        op: 'free',
        hint: 'free each buffer once, on the backend that made it',
      });
    }
    bytes -= buffer.length * bytesPerElement(buffer.dtype);
    empty(buffer);
    buffer.released = true;
    if (buffer.retained === 0) end(buffer);
  };
  return {
    requireOpen(): void {
      if (closed) throw new XMoEError('disposed', 'the backend was disposed', { op: 'tfjs', hint: 'make a new one' });
    },
    admit(box: Box): Box {
      live.add(box);
      bytes += box.length * bytesPerElement(box.dtype);
      return box;
    },
    free,
    empty,
    retain: (box: Box): void => void box.retained++,
    letGo(box: Box): void {
      if (--box.retained > 0 || !box.released) return;
      empty(box);
      end(box);
    },
    bytes: () => bytes,
    disposeAll(): boolean {
      if (closed) return false;
      closed = true;
      live.forEach(free);
      return true;
    },
  };
}

export function createBoxStore(tf: Tfjs, storage: TfStorage): BoxStore {
  const engine = tf.engine();
  const { requireOpen, admit, ...lives } = createLiveBoxes();
  // The wasm build allocates without filling when it is given no values; the cpu build needs an array.
  const allocatesBare = 'wasm' in storage;
  const allocator = allocatorOf(storage);
  if (allocator) guardAllocation(allocator);

  const make = (values: HostArray | null, length: number, dtype: DType): TfTensor => {
    const kind = tfDType(dtype);
    const dataId = storage.write(values ?? (allocatesBare ? null : roomyArray(kind, length)), [length], kind);
    return engine.keep(engine.makeTensorFromTensorInfo({ dataId, shape: [length], dtype: kind }, storage as never));
  };
  const replace = (box: Box, tensor: TfTensor): void => {
    box.tensor?.dispose();
    box.tensor = engine.keep(tensor);
    box.release();
    box.exposed = false;
  };
  const tensorOf = (box: Box): TfTensor => (box.tensor ??= box.variable?.read() ?? make(null, box.length, box.dtype));

  return {
    storage,
    allocate(dtype, length) {
      requireOpen();
      const box = new Box(dtype, length);
      if (dtype === 'uint32') box.words = roomyArray(dtype, length) as Uint32Array;
      else if (allocatesBare) box.tensor = make(null, length, dtype);
      else tfDType(dtype); // refuses float16 here, by name
      return admit(box);
    },
    hold(tensor, dtype) {
      requireOpen();
      const box = new Box(dtype, tensor.size);
      box.tensor = engine.keep(tensor);
      return admit(box);
    },
    ...lives,
    replace,
    tensorOf,
    ownTensor(box, keepContents) {
      const tensor = tensorOf(box);
      if (!box.exposed && storage.refCount(tensor.dataId) <= 1) return tensor;
      replace(box, make(keepContents ? storage.readSync(tensor.dataId).slice() : null, box.length, box.dtype));
      return box.tensor!;
    },
    make,
    requireRoom: (size) => void (allocator && requireRoom(allocator, size)),
  };
}
