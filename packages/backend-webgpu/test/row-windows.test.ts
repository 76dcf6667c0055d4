// How matrices beyond the largest binding are cut into windows of rows. The kernels on such windows are in the conformance tests;
// this file asks where windows begin, on devices that differ from the one at hand.
import type { DType, Operand } from '@xmoe/core';
import { describe, expect, it } from 'vitest';
import { rowWindows } from '../src/kernels/rows.js';
import type { Runtime, Window } from '../src/runtime/runtime.js';

const BYTES: Record<string, number> = { float32: 4, float16: 2, int32: 4 };

function operand(dtype: DType, ...shape: number[]): Operand {
  return { buffer: {}, shape, dtype };
}

function cut(bindingBytes: number, bindingAlignment: number, operands: Record<string, Operand>, multiple?: number) {
  return rowWindows({ traits: { bindingBytes, bindingAlignment } } as Runtime, operands, multiple);
}

describe('row windows', () => {
  it('bind whole operands where they fit', () => {
    const operands = { x: operand('float32', 100, 10), y: operand('float32', 100) };
    expect(cut(4000, 256, operands)).toEqual([{ first: 0, rows: 100, buffers: operands }]);
  });

  it.each([
    ['float16' as const, 33, 256, 1],
    ['float16' as const, 1009, 16, 1],
    ['float32' as const, 50257, 256, 1],
    ['float32' as const, 3, 256, 7],
  ])('of %s [1000, %i] begin at multiples of %i bytes and %i rows, cover every row once and fit', (dtype, columns, alignment, multiple) => {
    const binding = 500 * columns * 4;
    const operands = { x: operand(dtype, 1000, columns), out: operand('float32', 1000, columns), targets: operand('int32', 1000) };
    const windows = cut(binding, alignment, operands, multiple);
    expect(windows.length).toBeGreaterThan(1);
    let next = 0;
    for (const { first, rows, buffers } of windows) {
      expect(first).toBe(next);
      expect(first % multiple).toBe(0);
      for (const { operand: { dtype: stored, shape }, start, length } of Object.values(buffers) as Window[]) {
        const width = shape[1] ?? 1;
        expect([start, length]).toEqual([first * width, rows * width]);
        expect((start * BYTES[stored]) % alignment).toBe(0);
        expect(length * BYTES[stored]).toBeLessThanOrEqual(binding);
      }
      next += rows;
    }
    expect(next).toBe(1000);
  });

  it('are left to the launch, which refuses, when one row is too long', () => {
    const operands = { x: operand('float32', 4, 5000) };
    expect(cut(16384, 16, operands)).toEqual([{ first: 0, rows: 4, buffers: operands }]);
  });
});
