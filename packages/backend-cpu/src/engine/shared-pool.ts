// The buffers of the engine: typed arrays on regions of the shared memory, so that both the plain kernels and the compiled
// ones see them. Placement is in arena.ts.
import { XMoEError, bytesPerElement, type DType } from '@xmoe/core';
import type { BufferPool } from '../pool.js';
import type { NumericArray } from '../storage.js';
import { createArena, type Block } from './arena.js';
import { PAGE_BYTES } from './layout.js';
import type { WasmMemory } from './webassembly.js';

const MIB = 2 ** 20;
/** The memory grows by at least this much, and by a sixteenth of itself: growing costs a system call and a message to each thread. */
const GROWTH_FLOOR_BYTES = 16 * MIB;

export interface SharedPool extends BufferPool {
  /** A region for the engine itself: its address. Never returned. Error `memory`. */
  reserve(bytes: number): number;
  /** A region that `release` takes back. Error `memory`. */
  region(bytes: number): Block;
  release(block: Block): void;
}

/** Regions of `memory` from address `start` on. */
export function createSharedPool(memory: WasmMemory, start: number): SharedPool {
  const arena = createArena(start, grow);
  const blocks = new Map<number, Block>();
  growTo(start);

  /** `memory.grow` throws when the system or the maximum refuses; then `false`. */
  function growPages(pages: number): boolean {
    try {
      memory.grow(pages);
      return true;
    } catch {
      return false;
    }
  }

  function growTo(address: number): void {
    const missing = Math.ceil((address - memory.buffer.byteLength) / PAGE_BYTES);
    if (missing > 0 && !growPages(missing)) throw exhausted(address);
  }

  function grow(bytes: number): number {
    // What the first page has beyond `start` is given to the arena with the first growth.
    const held = memory.buffer.byteLength;
    const wanted = Math.ceil(bytes / PAGE_BYTES);
    const generous = Math.ceil(Math.max(bytes, GROWTH_FLOOR_BYTES, held / 16) / PAGE_BYTES);
    if (growPages(generous)) return generous * PAGE_BYTES;
    return growPages(wanted) ? wanted * PAGE_BYTES : 0;
  }

  function exhausted(bytes: number): XMoEError {
    const [wanted, used] = [bytes / MIB, arena.taken() / MIB].map((size) => size.toFixed(1));
    return new XMoEError('memory', `no room for ${wanted} MiB: ${used} MiB are in use and the memory of the engine ends at 4 GiB`, {
      op: 'cpu:wasm',
      hint: 'make the batch or the model smaller, or use the plain backend (createCpuBackend), whose buffers lie outside',
    });
  }

  function takeBlock(bytes: number): Block {
    const block = arena.take(bytes);
    if (block === undefined) throw exhausted(bytes);
    return block;
  }

  return {
    take(dtype, length) {
      const block = takeBlock(bytesPerElement(dtype) * length);
      blocks.set(block.offset, block);
      return createView(dtype, memory.buffer, block.offset, length);
    },
    give(_dtype, data) {
      const block = blocks.get(data.byteOffset);
      if (block === undefined) return;
      blocks.delete(data.byteOffset);
      arena.give(block);
    },
    reserve: (bytes) => takeBlock(bytes).offset,
    region(bytes) {
      const block = takeBlock(bytes);
      return block;
    },
    release(block) {
      arena.give(block);
    },
    bytes: () => memory.buffer.byteLength,
    clear() {
      for (const block of blocks.values()) arena.give(block);
      blocks.clear();
    },
  };
}

/** The elements at `offset` of `buffer` as an array of the dtype. */
export function createView(dtype: DType, buffer: SharedArrayBuffer, offset: number, length: number): NumericArray {
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
