// Direct use of the TensorFlow.js wasm build's heap and of its compiled kernels on given addresses: no copies, no engine.
// The only file that knows that build's insides; probed at start, and the caller falls back when the probe fails.
import { sizeOf } from '@xmoe/core';
import type { TfDataId, Tfjs } from './tfjs-module.js';
import type { HostArray } from './box.js';
import { packedBytes, requireRoom, type WasmAllocator } from './wasm-allocator.js';

/** The Emscripten module and the tables of BackendWasm (tfjs-backend-wasm 4.x). */
interface WasmModule extends WasmAllocator {
  cwrap(name: string, result: null, parameters: readonly string[]): (...args: (number | Uint8Array)[]) => void;
  tfjs: { registerTensor(id: number, size: number, address: number): void; disposeData(id: number): void };
}

interface WasmStorage {
  wasm: WasmModule;
  dataIdMap: { get(dataId: TfDataId): { memoryOffset: number } };
}

export type WasmUnary = 'Square' | 'Neg' | 'Abs' | 'Sqrt' | 'Relu' | 'Floor' | 'Ceil' | 'Reciprocal' | 'Rsqrt';
export type WasmBinary = 'Add' | 'Sub' | 'Multiply' | 'RealDiv';

/** A dense float32 array on the heap. */
export interface HeapArray {
  readonly address: number;
  readonly shape: readonly number[];
}

/** Addresses are in bytes. No operand may be empty. In place is fine where shapes are equal, except for `gemm`. */
export interface WasmHeap {
  address(dataId: TfDataId): number;
  view(dataId: TfDataId, dtype: 'float32' | 'int32' | 'uint32' | 'float16' | 'bool', length: number): HostArray;
  floats(address: number, length: number): Float32Array;
  /** Work space number `slot`, at least `length` floats; keeps its address until a larger request. */
  scratch(slot: number, length: number): number;
  unary(op: WasmUnary | 'Sigmoid', x: number, out: number, length: number): void;
  /** x from `low` to `high`. */
  clip(x: number, low: number, high: number, out: number, length: number): void;
  /** NumPy broadcasting, equal ranks up to 6. */
  binary(op: WasmBinary, a: HeapArray, b: HeapArray, out: number, length: number): void;
  /** x op constant, in place or not. */
  scalar(op: WasmBinary, x: number, value: number, out: number, length: number): void;
  softmax(x: number, out: number, rows: number, columns: number): void;
  /** [rows, columns] → [columns, rows]. */
  transpose(x: number, out: number, rows: number, columns: number): void;
  /** Axis i of the result is axis permutation[i]; no axis of size 1, not the identity. */
  permute(x: HeapArray, out: number, permutation: readonly number[]): void;
  /** out [M, N] = a [M, K] · b [K, N]. */
  gemm(a: number, b: number, out: number, M: number, K: number, N: number): void;
  dispose(): void;
}

// Ids of the views that exist during one call. TensorFlow.js counts its own up from 1. Fresh registration per call also
// keeps its cache of packed weights, which is keyed by id, from serving stale ones.
const FIRST = 0x40000000;
const SECOND = FIRST + 1;
const THIRD = FIRST + 2;
const FLOAT32 = 0;

/** Shapes as bytes, as compiled kernels take them. A program has few. */
const encodedShapes = new Map<string, Uint8Array>();
const MOST_SHAPES = 1024;

function shapeBytes(shape: readonly number[]): Uint8Array {
  const name = shape.join();
  let bytes = encodedShapes.get(name);
  if (!bytes) {
    if (encodedShapes.size >= MOST_SHAPES) encodedShapes.clear();
    bytes = new Uint8Array(Int32Array.from(shape).buffer);
    encodedShapes.set(name, bytes);
  }
  return bytes;
}

/** The compiled kernels as functions. Throws when the build lacks one. */
function compiledKernels(wasm: WasmModule) {
  const wrap = (name: string, parameters: readonly string[]) => wasm.cwrap(name, null, parameters);
  const numbers = (count: number) => new Array<string>(count).fill('number');
  const table = (names: readonly string[], parameters: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, wrap(name, parameters)]));
  const binaryArguments = ['number', 'array', 'number', 'number', 'array', 'number', 'number', 'number'];
  return {
    unaries: table(['Square', 'Neg', 'Abs', 'Sqrt', 'Relu', 'Floor', 'Ceil', 'Reciprocal', 'Rsqrt'], numbers(3)),
    sigmoid: wrap('Sigmoid', numbers(2)),
    clip: wrap('ClipByValue', numbers(4)),
    binaries: table(['Add', 'Sub', 'Multiply', 'RealDiv'], binaryArguments),
    softmax: wrap('Softmax', numbers(4)),
    transpose: wrap('Transpose', ['number', 'array', 'number', 'number', 'number', 'array', 'number']),
    matmul: wrap('BatchMatMul', ['number', 'array', 'number', 'number', 'array', 'number', 'number', 'number', 'number']),
  };
}

/** `run` with the first ids registered as views of the given [address, size] pairs, which end with the call. */
function withViews({ tfjs }: WasmModule, views: readonly (readonly [address: number, size: number])[], run: () => void): void {
  try {
    for (let i = 0; i < views.length; i++) tfjs.registerTensor(FIRST + i, views[i][1], views[i][0]);
    run();
  } finally {
    for (let i = 0; i < views.length; i++) tfjs.disposeData(FIRST + i);
  }
}

/** The calls of the compiled kernels, on addresses. */
function heapCalls(wasm: WasmModule): Pick<WasmHeap, 'unary' | 'clip' | 'binary' | 'softmax' | 'permute' | 'gemm'> {
  const compiled = compiledKernels(wasm);
  return {
    unary(op, x, out, length) {
      withViews(wasm, [[x, length], [out, length]], () => {
        if (op === 'Sigmoid') compiled.sigmoid(FIRST, SECOND);
        else compiled.unaries[op](FIRST, FLOAT32, SECOND);
      });
    },
    clip(x, low, high, out, length) {
      withViews(wasm, [[x, length], [out, length]], () => compiled.clip(FIRST, low, high, SECOND));
    },
    binary(op, a, b, out, length) {
      withViews(wasm, [[a.address, sizeOf(a.shape)], [b.address, sizeOf(b.shape)], [out, length]], () =>
        compiled.binaries[op](FIRST, shapeBytes(a.shape), a.shape.length, SECOND, shapeBytes(b.shape), b.shape.length, FLOAT32, THIRD),
      );
    },
    softmax(x, out, rows, columns) {
      withViews(wasm, [[x, rows * columns], [out, rows * columns]], () => compiled.softmax(FIRST, SECOND, columns, rows));
    },
    permute(x, out, permutation) {
      const size = sizeOf(x.shape);
      withViews(wasm, [[x.address, size], [out, size]], () =>
        compiled.transpose(FIRST, shapeBytes(x.shape), x.shape.length, FLOAT32, SECOND, shapeBytes(permutation), permutation.length),
      );
    },
    gemm(a, b, out, M, K, N) {
      requireRoom(wasm, packedBytes(K, N)); // without it the product would silently not be computed
      withViews(wasm, [[a, M * K], [b, K * N], [out, M * N]], () =>
        compiled.matmul(FIRST, shapeBytes([1, M, K]), 3, SECOND, shapeBytes([1, K, N]), 3, 0, 0, THIRD),
      );
    },
  };
}

function createWasmHeap(storage: WasmStorage): WasmHeap {
  const { wasm } = storage;
  const calls = heapCalls(wasm);
  const constant = wasm._malloc(16) >>> 0;
  const slots: { address: number; length: number }[] = [];

  const floats = (address: number, length: number) => new Float32Array(wasm.HEAPU8.buffer, address, length);
  return {
    ...calls,
    address: (dataId) => storage.dataIdMap.get(dataId).memoryOffset,
    view(dataId, dtype, length) {
      const address = storage.dataIdMap.get(dataId).memoryOffset;
      const { buffer } = wasm.HEAPU8;
      if (dtype === 'float32') return new Float32Array(buffer, address, length);
      return dtype === 'int32' ? new Int32Array(buffer, address, length) : new Uint8Array(buffer, address, length);
    },
    floats,
    scratch(slot, length) {
      const held = slots[slot];
      if (held && held.length >= length) return held.address;
      if (held) {
        wasm._free(held.address);
        delete slots[slot]; // there is none should the next line fail
      }
      const address = wasm._malloc(Math.max(16, length * 4)) >>> 0;
      slots[slot] = { address, length };
      return address;
    },
    scalar(op, x, value, out, length) {
      floats(constant, 1)[0] = value;
      calls.binary(op, { address: x, shape: [length] }, { address: constant, shape: [1] }, out, length);
    },
    transpose(x, out, rows, columns) {
      if (rows === 1 || columns === 1) floats(out, rows * columns).set(floats(x, rows * columns));
      else calls.permute({ address: x, shape: [rows, columns] }, out, [1, 0]);
    },
    dispose() {
      wasm._free(constant);
      for (const slot of slots) if (slot) wasm._free(slot.address);
      slots.length = 0;
    },
  };
}

/** Runs one of each call on known numbers. */
function probe(heap: WasmHeap): boolean {
  const [a, b, out] = [heap.scratch(0, 64), heap.scratch(1, 64), heap.scratch(2, 64)];
  const is = (...expected: number[]) => heap.floats(out, expected.length).every((value, i) => Math.abs(value - expected[i]) < 1e-5);
  heap.floats(a, 6).set([1, 2, 3, 4, 5, 6]);
  heap.floats(b, 6).set([1, 0, 0, 1, 1, 1]);
  heap.gemm(a, b, out, 2, 3, 2); // a [2, 3] · b [3, 2]
  let works = is(4, 5, 10, 11);
  heap.transpose(a, out, 2, 3);
  works &&= is(1, 4, 2, 5, 3, 6);
  heap.binary('Sub', { address: a, shape: [2, 3] }, { address: b, shape: [2, 1] }, out, 6);
  works &&= is(0, 1, 2, 4, 5, 6);
  heap.scalar('Multiply', a, 2, out, 6);
  works &&= is(2, 4, 6, 8, 10, 12);
  heap.unary('Square', a, out, 6);
  works &&= is(1, 4, 9, 16, 25, 36);
  heap.unary('Sigmoid', a, out, 1);
  works &&= is(1 / (1 + Math.exp(-1)));
  heap.floats(a, 2).fill(3);
  heap.softmax(a, out, 1, 2);
  return works && is(0.5, 0.5);
}

/** The heap of the registered wasm backend of `tf`, or null when its insides are not as expected. */
export function openWasmHeap(tf: Tfjs): WasmHeap | null {
  try {
    const storage = tf.engine().findBackend('wasm') as unknown as WasmStorage;
    const heap = createWasmHeap(storage);
    return probe(heap) ? heap : null;
  } catch {
    return null;
  }
}
