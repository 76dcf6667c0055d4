// Allocation on the TensorFlow.js wasm build's heap, in place of the build's own `_malloc`. Near 4 GiB that one gives addresses whose
// end lies beyond the memory, and 0 where the system has none: tensors are then written over what is there already. This one knows
// what is free, never lets the heap come near its end, and raises an error instead. Compiled code still allocates by itself.
import { XMoEError } from '@xmoe/core';

/** The part of the Emscripten module that allocates. */
export interface WasmAllocator {
  HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(address: number): void;
}

const MIB = 2 ** 20;
const ALIGNMENT = 64;
const ADDRESS_SPACE = 2 ** 32;
/** What the build adds to a request when it asks for pages, at the most. */
const GROWTH_SLACK = 256 * 1024;
/** Left to compiled code, which allocates by itself: copies of weights, tables, operators. */
const RESERVED_BYTES = 256 * MIB;
const SMALLEST_REGION = 16 * MIB;
/** At least the columns of a panel of packed weights, and the bytes around them. */
const PANEL = 16;
const PANEL_SLACK = 4096;

interface FreeBlock {
  address: number;
  bytes: number;
}

/** What the build allocates by itself to multiply by a [K, N]: a copy in panels of columns, with a bias. */
export function packedBytes(K: number, N: number): number {
  return 4 * (K + 1) * Math.ceil(N / PANEL) * PANEL + PANEL_SLACK;
}

/** The allocator of a storage of the wasm build; undefined for other builds. */
export function allocatorOf(storage: object): WasmAllocator | undefined {
  const wasm = (storage as { wasm?: Partial<WasmAllocator> | null }).wasm;
  const complete = wasm && wasm.HEAPU8 && typeof wasm._malloc === 'function' && typeof wasm._free === 'function';
  return complete ? (wasm as WasmAllocator) : undefined;
}

/** The build's own functions, of modules whose `_malloc` is ours. */
const originals = new WeakMap<WasmAllocator, Pick<WasmAllocator, '_malloc' | '_free'>>();

/**
 * Makes `_malloc` of this module raise an error `memory` where there is no room: for this package, for TensorFlow.js' own tensors
 * and for yours, which all lie on one heap. The module stays so; a second call changes nothing.
 */
export function guardAllocation(wasm: WasmAllocator): void {
  if (originals.has(wasm)) return;
  wasm._free(wasm._malloc(1)); // Emscripten puts the compiled functions in their place at the first call
  const original = { _malloc: wasm._malloc.bind(wasm), _free: wasm._free.bind(wasm) };
  originals.set(wasm, original);
  const blocks = new Blocks((bytes) => newRegion(wasm, bytes));
  wasm._malloc = (bytes) => blocks.take(bytes);
  wasm._free = (address) => {
    if (!blocks.give(address >>> 0)) original._free(address); // made by compiled code, or before us
  };
}

/** Error `memory` unless compiled code can allocate `bytes` by itself now. */
export function requireRoom(wasm: WasmAllocator, bytes: number): void {
  const { _malloc, _free } = originals.get(wasm) ?? wasm;
  const address = wasm.HEAPU8.byteLength + bytes + GROWTH_SLACK > ADDRESS_SPACE ? 0 : _malloc(bytes);
  if (address === 0) throw exhausted(bytes, wasm.HEAPU8.byteLength);
  _free(address);
}

/** A region of at least `bytes` more of the heap, a quarter of what there is where that can be had. */
function newRegion(wasm: WasmAllocator, bytes: number): FreeBlock {
  const held = wasm.HEAPU8.byteLength;
  const { _malloc, _free } = originals.get(wasm)!;
  for (const wanted of [Math.max(bytes, SMALLEST_REGION, Math.floor(held / 4)), Math.max(bytes, SMALLEST_REGION), bytes]) {
    if (held + wanted + GROWTH_SLACK > ADDRESS_SPACE - RESERVED_BYTES) continue;
    const address = _malloc(wanted + ALIGNMENT) >>> 0;
    if (address === 0) continue;
    const reserve = _malloc(GROWTH_SLACK); // what compiled code needs at the least
    if (reserve !== 0) {
      _free(reserve);
      const aligned = roundUp(address);
      return { address: aligned, bytes: Math.floor((address + wanted + ALIGNMENT - aligned) / ALIGNMENT) * ALIGNMENT };
    }
    _free(address);
  }
  throw exhausted(bytes, held);
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Blocks of regions: the smallest that fits is cut, neighbours are joined when they are free. Regions are kept for good. */
class Blocks {
  /** By address. */
  private readonly free: FreeBlock[] = [];
  /** Address → bytes. */
  private readonly taken = new Map<number, number>();

  constructor(private readonly region: (bytes: number) => FreeBlock) {}

  take(wanted: number): number {
    const bytes = Math.max(ALIGNMENT, roundUp(wanted));
    if (this.smallestFor(bytes) < 0) this.release(this.region(bytes));
    const index = this.smallestFor(bytes);
    const block = this.free[index];
    const { address } = block;
    if (block.bytes === bytes) this.free.splice(index, 1);
    else {
      block.address += bytes;
      block.bytes -= bytes;
    }
    this.taken.set(address, bytes);
    return address;
  }

  /** False for an address that is not from here. */
  give(address: number): boolean {
    const bytes = this.taken.get(address);
    if (bytes === undefined) return false;
    this.taken.delete(address);
    this.release({ address, bytes });
    return true;
  }

  /** The index of the first free block at or after `address`. */
  private position(address: number): number {
    let [low, high] = [0, this.free.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.free[middle].address < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private release(block: FreeBlock): void {
    const at = this.position(block.address);
    const [before, after] = [this.free[at - 1], this.free[at]];
    const joinsAfter = after !== undefined && block.address + block.bytes === after.address;
    if (before !== undefined && before.address + before.bytes === block.address) {
      before.bytes += block.bytes + (joinsAfter ? after.bytes : 0);
      if (joinsAfter) this.free.splice(at, 1);
    } else if (joinsAfter) {
      after.address = block.address;
      after.bytes += block.bytes;
    } else {
      this.free.splice(at, 0, block);
    }
  }

  private smallestFor(bytes: number): number {
    let best = -1;
    for (let i = 0; i < this.free.length; i++) {
      if (this.free[i].bytes >= bytes && (best < 0 || this.free[i].bytes < this.free[best].bytes)) best = i;
    }
    return best;
  }
}

function exhausted(bytes: number, held: number): XMoEError {
  const [wanted, size] = [bytes / MIB, held / MIB].map((value) => value.toFixed(1));
  return new XMoEError('memory', `no room for ${wanted} MiB on the heap of TensorFlow.js wasm (${size} MiB; tensors end at 3.75 GiB)`, {
    op: 'tfjs:wasm',
    hint: 'make the batch or the model smaller, dispose tensors, or use another backend, e.g. cpu',
  });
}
