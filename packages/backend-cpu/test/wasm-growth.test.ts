// The engine's memory grows while a kernel has begun: what was made of it before is whole, what is made after sees all of it.
import { afterEach, describe, expect, it } from 'vitest';
import type { Backend, DType, Kernels, Operand } from '@xmoe/core';
import { createWasmBackend } from '@xmoe/backend-cpu';

const MIB = 2 ** 20;
const opened: Backend[] = [];
afterEach(() => {
  for (const backend of opened.splice(0)) backend.dispose();
});

async function open(threads: number): Promise<{ backend: Backend; kernels: Kernels; make(shape: number[], dtype: DType, value?: (i: number) => number): Operand }> {
  const backend = await createWasmBackend({ threads });
  opened.push(backend);
  return {
    backend,
    kernels: backend.kernels as Kernels,
    make(shape, dtype, value) {
      const length = shape.reduce((product, extent) => product * extent, 1);
      const operand = { buffer: backend.allocate(dtype, length), shape, dtype };
      if (value) backend.write(operand, Float32Array.from({ length }, (_, i) => value(i)));
      return operand;
    },
  };
}

const PIECE_BYTES = 65536;

/** Takes what is free but for some pieces of 64 KiB. */
function fillUp(backend: Backend): void {
  const held = backend.memory().bytes;
  while (backend.memory().bytes === held) backend.allocate('float32', PIECE_BYTES / 4);
  const grown = backend.memory().bytes - held;
  for (let left = Math.floor(grown / PIECE_BYTES) - 5; left > 0; left--) backend.allocate('float32', PIECE_BYTES / 4);
}

describe.each([1, 2, 4])('half precision with %i threads', (threads) => {
  it('decodes into memory that grows meanwhile', async () => {
    const { backend, kernels, make } = await open(threads);
    const length = 3 * MIB;
    const x = make([1, length], 'float16', (i) => (i % 7) - 3);
    const out = make([1, length], 'float16');
    fillUp(backend);
    const before = backend.memory().bytes;
    kernels.unary({ x }, { out }, { op: 'square' });
    expect(backend.memory().bytes).toBeGreaterThan(before);
    const squares = backend.readSync!(out);
    expect(squares.every((value, i) => value === ((i % 7) - 3) ** 2)).toBe(true);
  });
});

describe('scratch of single precision', () => {
  it('sorts and selects in memory that grows meanwhile', async () => {
    const { backend, kernels, make } = await open(1);
    const length = 2 * MIB;
    const keys = make([length], 'int32', (i) => (i * 7919) % length);
    const order = make([length], 'int32');
    fillUp(backend);
    const before = backend.memory().bytes;
    kernels.sortByKey({ keys }, { permutation: order });
    expect(backend.memory().bytes).toBeGreaterThan(before);
    const [ids, values] = [backend.readSync!(order), backend.readSync!(keys)];
    expect(ids.every((id, i) => values[id] === i)).toBe(true);
  });

  it('multiplies by many experts in memory that grows meanwhile', async () => {
    const { backend, kernels, make } = await open(1);
    const groups = 400_000; // a table of bounds of 3 MiB
    const [x, dy] = [make([groups, 1], 'float32', () => 2), make([groups, 1], 'float32', () => 3)];
    const offsets = make([groups + 1], 'int32', (i) => i);
    const gradient = make([groups, 1, 1], 'float32');
    fillUp(backend);
    const before = backend.memory().bytes;
    kernels.groupedMatmulWeightGrad({ x, dy, offsets }, { out: gradient });
    expect(backend.memory().bytes).toBeGreaterThan(before);
    expect(backend.readSync!(gradient).every((value) => value === 6)).toBe(true);
  });
});
