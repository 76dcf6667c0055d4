// How TypeScript calls the compiled kernels: addresses of operands, scratch, and a kernel over work items on all threads.
// Which thread runs what is in team.ts.
import { XMoEError, type Operand } from '@xmoe/core';
import { elements } from '../storage.js';
import type { Block } from './arena.js';
import type { Products } from './products.js';
import type { SharedPool } from './shared-pool.js';
import type { Team } from './team.js';
import type { WasmFunction } from './webassembly.js';

export interface WasmRuntime {
  /** Threads that `parallel` uses, the calling one included. */
  readonly threads: number;
  /** Which instructions the kernels were compiled to: `simd` or `relaxed`. */
  readonly variant: string;
  /** Whether a library multiplies matrices. */
  readonly byLibrary: boolean;
  /** Whether its results do not depend on blocks, as those of the compiled kernels do not. */
  readonly cutsFreely: boolean;
  /** The address of an operand's first byte. Error `backend` for a buffer outside the memory. */
  pointer(operand: Operand): number;
  /** The address of `bytes` of undefined contents, 64-byte aligned, gone at the next call of a kernel of the contract. */
  scratch(bytes: number): number;
  /** `scratch` as an array. */
  scratchFloats(length: number): Float32Array;
  scratchInts(length: number): Int32Array;
  /**
   * Runs the compiled `kernel(begin, end, ...args)` over [0, total) in pieces of at least `grain` items, on as many threads
   * as that gives work; on the calling thread alone when total ≤ grain. Returns when all is done. A kernel's results must
   * not depend on where the pieces begin.
   */
  parallel(kernel: string, total: number, grain: number, args: readonly number[]): void;
  /** Calls a compiled function as it is, on the calling thread. */
  call(kernel: string, ...args: number[]): number;
}

/** What the backend does with a runtime besides running kernels. */
export interface RuntimeControl {
  readonly runtime: WasmRuntime;
  /** Begins a call of a kernel of the contract: all scratch is free again. */
  beginCall(): void;
}

const FIRST_SCRATCH_BYTES = 2 ** 20;

/** Has no memory of its own to look at: arrays come from the pool, whose memory may have grown since the last one. */
export function createRuntime(functions: Record<string, WasmFunction>, pool: SharedPool, team: Team, variant: string, products: Pick<Products, 'cutsFreely'> | null): RuntimeControl {
  let regions: Block[] = [];
  let used = 0; // bytes of the last region

  function beginCall(): void {
    used = 0;
    if (regions.length <= 1) return;
    // The next call of this size finds one region that holds it all.
    const bytes = regions.reduce((sum, region) => sum + region.bytes, 0);
    for (const region of regions) pool.release(region);
    regions = [];
    regions = [pool.region(bytes)];
  }

  function scratch(bytes: number): number {
    const aligned = Math.ceil(bytes / 64) * 64;
    const current = regions.at(-1);
    if (current === undefined || used + aligned > current.bytes) {
      regions.push(pool.region(Math.max(aligned, FIRST_SCRATCH_BYTES)));
      used = 0;
    }
    const address = regions[regions.length - 1].offset + used;
    used += aligned;
    return address;
  }

  const runtime: WasmRuntime = {
    threads: team.threads,
    variant,
    byLibrary: products !== null,
    cutsFreely: products === null || products.cutsFreely(),
    pointer(operand) {
      const data = elements(operand);
      if (data.buffer instanceof ArrayBuffer) {
        throw new XMoEError('backend', 'an operand lies outside the memory of the engine', {
          op: 'cpu:wasm',
          hint: 'make the tensor with the engine of this backend',
        });
      }
      return data.byteOffset;
    },
    scratch,
    scratchFloats: (length) => pool.view('float32', scratch(4 * length), length) as Float32Array,
    scratchInts: (length) => pool.view('int32', scratch(4 * length), length) as Int32Array,
    parallel: team.run,
    call: (kernel, ...args) => functions[kernel](...args),
  };
  return { runtime, beginCall };
}
