// The end of the wasm build's memory, filled for real (address space only: nothing is written to what fills it): typed errors, and no
// tensor changes. What becomes of freed boxes is in disposed.test.ts.
import { afterAll, describe, expect, it } from 'vitest';
import { add, adamStep, createEngine, isXMoEError, type Engine, type Tensor, type XMoEError } from '@xmoe/core';
import { createTfjsBackend, toTf } from '@xmoe/backend-tfjs';
import { loadTfjs } from '@xmoe/backend-tfjs/node';
import { guardAllocation, requireRoom, type WasmAllocator } from '../src/wasm-allocator.js';
import { openWasmHeap } from '../src/wasm-heap.js';

const { tf } = await loadTfjs({ build: 'wasm' });

/** What `run` raises, if it is an error of ours; undefined when it raises nothing. */
function failure(run: () => unknown): XMoEError | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (isXMoEError(error)) return error;
    throw error;
  }
}

const MIB = 2 ** 20;
/** More tensors of one size than there can be: an allocator that never fails ends here. */
const MOST = 20;

/** Fills the engine's memory until not even `rest` bytes can be had; the tensors that fill it. */
function fill(engine: Engine, rest: number): Tensor[] {
  const fillers: Tensor[] = [];
  for (let bytes = 512 * MIB; bytes >= rest; bytes /= 2) {
    for (let count = 0; count < MOST && failure(() => fillers.push(engine.empty([bytes / 4]))) === undefined; count++);
  }
  return fillers;
}

/** A module whose memory ends at 4 GiB, and whose own allocator does not know it: it counts up and wraps. */
function fakeModule(ends = 2 ** 32): WasmAllocator & { calls: number[] } {
  let next = 1024;
  const calls: number[] = [];
  return {
    calls,
    HEAPU8: { get byteLength() { return next; } } as unknown as Uint8Array,
    _malloc(bytes) {
      calls.push(bytes);
      if (next + bytes > ends) return 0;
      next += bytes + 16;
      return (next - bytes) | 0;
    },
    _free: () => undefined,
  };
}

describe('the allocator', () => {
  it('uses what was freed again, joined to what it was, and never asks for more than there is', () => {
    const wasm = fakeModule();
    guardAllocation(wasm);
    guardAllocation(wasm);
    const held = Array.from({ length: 40 }, () => wasm._malloc(1000));
    expect(new Set(held).size).toBe(40);
    expect(held.every((address) => address % 64 === 0)).toBe(true);
    const asked = wasm.calls.length;
    for (const address of [...held.filter((_, i) => i % 2 === 0), ...held.filter((_, i) => i % 2 === 1)]) wasm._free(address);
    expect(wasm._malloc(40_000)).toBe(held[0]);
    expect(wasm.calls.length).toBe(asked);
    for (let count = 0; count < 20; count++) failure(() => wasm._malloc(512 * MIB));
    expect(wasm.HEAPU8.byteLength).toBeLessThan(2 ** 32 - 200 * MIB);
    expect(failure(() => wasm._malloc(512 * MIB))).toMatchObject({ code: 'memory' });
    expect(failure(() => requireRoom(wasm, 512 * MIB))).toMatchObject({ code: 'memory' });
    expect(failure(() => requireRoom(wasm, 100 * MIB))).toBeUndefined();
  });

  it('takes the 0 of a system without memory for an error, at any size', () => {
    const wasm = fakeModule(64 * MIB);
    guardAllocation(wasm);
    expect(failure(() => wasm._malloc(128 * MIB))).toMatchObject({ code: 'memory' });
    let made = 0;
    while (made < 100 && failure(() => wasm._malloc(MIB)) === undefined) made++;
    expect(made).toBeGreaterThan(20);
    expect(made).toBeLessThan(64);
    expect(failure(() => requireRoom(wasm, 40 * MIB))).toMatchObject({ code: 'memory' });
  });
});

describe.each([
  ['in place', 'resident'],
  ['device kernels', 'device'],
] as const)('the end of the memory of the wasm build, %s', (_, mode) => {
  const engine = createEngine(createTfjsBackend(tf, { backendName: 'wasm', mode }));
  const older = engine.tensor(Float32Array.from({ length: 4096 }, (_, i) => i), [64, 64]);
  const state = (): unknown => [engine.memory().buffers, engine.memory().bytes, tf.engine().memory().numTensors, tf.engine().memory().numDataBuffers];
  afterAll(() => engine.dispose());

  it('is an error `memory` that changes nothing, however large or small the request', () => {
    const before = state();
    const fillers = fill(engine, 64 * 1024);
    expect(fillers.length).toBeGreaterThan(6);
    const full = state();
    for (const length of [2 ** 27, 2 ** 22, 2 ** 16]) {
      const error = failure(() => engine.full([length], 7));
      expect(error).toMatchObject({ code: 'memory' });
      expect(error!.message).toMatch(/no room for [\d.]+ MiB on the heap of TensorFlow.js wasm/);
    }
    expect(failure(() => engine.tensor(new Float32Array(2 ** 20)))).toMatchObject({ code: 'memory' });
    expect(failure(() => engine.tensor(new Int32Array(2 ** 20)))).toMatchObject({ code: 'memory' });
    expect(state()).toEqual(full);
    for (const filler of fillers) filler.dispose();
    expect(state()).toEqual(before);
    expect(Array.from(older.dataSync().subarray(0, 3))).toEqual([0, 1, 2]);
    expect(engine.scope(() => Array.from(add(engine.ones([3]), 1).dataSync()))).toEqual([2, 2, 2]);
  });
});

describe('without room, in place', () => {
  const engine = createEngine(createTfjsBackend(tf, { backendName: 'wasm' }));
  afterAll(() => engine.dispose());

  it('leaves room to write where nothing is made', () => {
    const older = engine.ones([4096]);
    const fillers = fill(engine, 64);
    older.write(new Float32Array(4096).fill(3));
    for (const filler of fillers) filler.dispose();
    expect(older.dataSync()[4095]).toBe(3);
  });

  it('stops an optimizer step before any parameter has moved', () => {
    const [small, large, m, v] = [64, 8192, 8192, 8192].map((length) => engine.ones([length]));
    const [smallM, smallV] = [engine.zeros([64]), engine.zeros([64])];
    const hyper = engine.tensor([0.5, 0.9, 0.999, 1e-8, 0, 0.1, 0.001, 1, 0.1, 0.001]);
    const shared = toTf(large); // the step makes a copy, for which there is no room
    const fillers = fill(engine, 1024);
    const step = (): void => adamStep([small, large], [small, large], [smallM, m], [smallV, v], hyper, { decay: false });
    expect(failure(step)).toMatchObject({ code: 'memory' });
    for (const filler of fillers) filler.dispose();
    for (const moved of [small, large]) expect(Math.min(...moved.dataSync())).toBe(1);
    expect(failure(step)).toBeUndefined();
    shared.dispose();
  });

  it('refuses a product for which compiled code has no room of its own', () => {
    const heap = openWasmHeap(tf)!;
    const fillers = fill(engine, 512 * MIB);
    const address = heap.scratch(0, 64);
    expect(failure(() => heap.gemm(address, address, address, 1, 2 ** 14, 2 ** 15))).toMatchObject({ code: 'memory' });
    for (const filler of fillers) filler.dispose();
    heap.dispose();
  });
});
