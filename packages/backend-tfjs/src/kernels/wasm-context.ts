// What the wasm kernels share: addresses of operands on the heap. Kernels take addresses, not views, because any
// call may grow the heap and detach views.
import { sizeOf, type Operand } from '@xmoe/core';
import { boxOf, type BoxStore } from '../box.js';
import type { WasmHeap } from '../wasm-heap.js';

export interface WasmContext {
  readonly heap: WasmHeap;
  /** Address of an operand that is read. */
  input(operand: Operand): number;
  /** Address of an operand that is overwritten completely. */
  output(operand: Operand): number;
  /** Address of an operand that is changed in place. */
  inout(operand: Operand): number;
  /** A copy of a small int32 operand (offsets, ids). */
  integers(operand: Operand): Int32Array;
  /** A copy of a small bool operand (masks). */
  flags(operand: Operand): Uint8Array;
  /** Calls `run(start, length)` over `total` in pieces that stay in the processor's cache. */
  pieces(total: number, unit: number, run: (start: number, length: number) => void): void;
}

/** Elements per piece: 64 KiB of each operand. */
export const PIECE = 16384;

export function createWasmContext(store: BoxStore, heap: WasmHeap): WasmContext {
  const view = (operand: Operand, dtype: 'int32' | 'bool') =>
    heap.view(store.tensorOf(boxOf(operand)).dataId, dtype, sizeOf(operand.shape));
  return {
    heap,
    input: (operand) => heap.address(store.tensorOf(boxOf(operand)).dataId),
    output: (operand) => heap.address(store.ownTensor(boxOf(operand), false).dataId),
    inout: (operand) => heap.address(store.ownTensor(boxOf(operand), true).dataId),
    integers: (operand) => (view(operand, 'int32') as Int32Array).slice(),
    flags: (operand) => (view(operand, 'bool') as Uint8Array).slice(),
    pieces(total, unit, run) {
      const step = Math.max(1, Math.floor(PIECE / Math.max(1, unit)));
      for (let start = 0; start < total; start += step) run(start, Math.min(step, total - start));
    },
  };
}
