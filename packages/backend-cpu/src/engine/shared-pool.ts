// The buffers of the engine: typed arrays on regions of the shared memory, so that both the plain kernels and the compiled
// ones see them. Placement is in arena.ts.
import { XMoEError, type DType } from '@xmoe/core';
import { bytesPerElement } from '@xmoe/core/backend';
import type { BufferPool } from '../pool.js';
import type { NumericArray } from '@xmoe/kernels-host';
import { createArena, type Block } from './arena.js';
import { PAGE_BYTES } from './layout.js';
import type { WasmMemory } from './webassembly.js';

const MIB = 2 ** 20;
/** The memory grows by at least this much, and by a sixteenth of itself: growing costs a system call and a message to each thread. */
const GROWTH_FLOOR_BYTES = 16 * MIB;

export interface SharedPool extends BufferPool {
  /** A region for the engine itself. Error `memory` when there is no room. */
  region(bytes: number): Block;
  release(block: Block): void;
  /** The elements from an address on. The only way to see the memory: what it grew by is in it. */
  view(dtype: DType, address: number, length: number): NumericArray;
}

/** Regions of `memory` from address `start` on; whole pages after it are the arena's. */
export function createSharedPool(memory: WasmMemory, start: number): SharedPool {
  const first = Math.ceil(start / PAGE_BYTES) * PAGE_BYTES;
  growTo(memory, first);
  // Asking the memory for its buffer costs more than all the rest of an allocation.
  let buffer = memory.buffer;
  const arena = createArena(first, (bytes) => {
    const grown = growBy(memory, bytes);
    buffer = memory.buffer;
    return grown;
  });
  const blocks = new Map<number, Block>();

  function region(bytes: number): Block {
    const block = arena.take(bytes);
    if (block === undefined) throw exhausted(bytes, arena.taken());
    return block;
  }

  return {
    region,
    release: (block) => arena.give(block),
    view: (dtype, address, length) => createView(dtype, buffer, address, length),
    take(dtype, length) {
      const block = region(bytesPerElement(dtype) * length);
      blocks.set(block.offset, block);
      return createView(dtype, buffer, block.offset, length);
    },
    give(_dtype, data) {
      const block = blocks.get(data.byteOffset);
      if (block === undefined) return; // cleared before
      blocks.delete(data.byteOffset);
      arena.give(block);
    },
    bytes: () => buffer.byteLength,
    clear() {
      for (const block of blocks.values()) arena.give(block);
      blocks.clear();
    },
  };
}

function growTo(memory: WasmMemory, address: number): void {
  const missing = (address - memory.buffer.byteLength) / PAGE_BYTES;
  if (missing > 0 && !growPages(memory, missing)) throw exhausted(address, 0);
}

/** By a generous step where the system allows it, else by just enough, else not at all. */
function growBy(memory: WasmMemory, bytes: number): number {
  const generous = Math.max(bytes, GROWTH_FLOOR_BYTES, memory.buffer.byteLength / 16);
  for (const wanted of [generous, bytes]) {
    const pages = Math.ceil(wanted / PAGE_BYTES);
    if (growPages(memory, pages)) return pages * PAGE_BYTES;
  }
  return 0;
}

/** `memory.grow` throws when the system or the maximum refuses. */
function growPages(memory: WasmMemory, pages: number): boolean {
  try {
    memory.grow(pages);
    return true;
  } catch {
    return false;
  }
}

function exhausted(bytes: number, taken: number): XMoEError {
  const [wanted, used] = [bytes / MIB, taken / MIB].map((size) => size.toFixed(1));
  return new XMoEError('memory', `no room for ${wanted} MiB beside the ${used} MiB in use: the memory of the engine ends at 4 GiB`, {
    op: 'cpu:wasm',
    hint: 'make the batch or the model smaller, or use createCpuBackend, whose buffers lie outside',
  });
}

/** The elements at `offset` of `buffer` as an array of the dtype. */
function createView(dtype: DType, buffer: SharedArrayBuffer, offset: number, length: number): NumericArray {
  switch (dtype) {
    case 'float32':
      return new Float32Array(buffer, offset, length);
    case 'float16':
      return new Uint16Array(buffer, offset, length);
    case 'int32':
      return new Int32Array(buffer, offset, length);
    case 'uint32':
      return new Uint32Array(buffer, offset, length);
    case 'bool':
      return new Uint8Array(buffer, offset, length);
  }
}
