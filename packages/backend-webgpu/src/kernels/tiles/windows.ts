// Operands beyond the largest binding: which part of one to bind, and how large the pieces of a product may be.
import { sizeOf, type Operand } from '@xmoe/core';
import { DEVICE_BYTES } from '../../runtime/buffers.js';
import type { DeviceTraits } from '../../device/traits.js';
import type { Binding } from '../../runtime/runtime.js';

export interface View {
  readonly binding: Binding;
  /** Kernels add it to an index into the whole operand, modulo 2³², to get one into the binding. */
  readonly base: number;
}

/** Of an operand that is not there. */
export const NO_VIEW = { binding: undefined, base: 0 } as const;

/** [begin, end). */
export interface Range {
  readonly begin: number;
  readonly end: number;
}

/** Whether all of the operand can be bound at once. */
export function fitsBinding(traits: DeviceTraits, { shape, dtype }: Operand): boolean {
  return sizeOf(shape) * DEVICE_BYTES[dtype] <= traits.bindingBytes;
}

/** The operand, or a window with the elements [begin, end) where it cannot be bound whole. */
export function viewOf(traits: DeviceTraits, operand: Operand, begin: number, end: number): View {
  if (fitsBinding(traits, operand)) return { binding: operand, base: 0 };
  const step = traits.bindingAlignment / DEVICE_BYTES[operand.dtype];
  const start = Math.floor(begin / step) * step;
  return { binding: { operand, start, length: end - start }, base: -start >>> 0 };
}

/**
 * How many rows of `rowLength` elements of the operand can be bound at once, a multiple of 64 or of 4 where so many fit; all of
 * its rows where it fits whole. At least 1: binding a row that is too long fails with an error that names it.
 */
export function rowsPerBinding(traits: DeviceTraits, operand: Operand, rowLength: number): number {
  if (fitsBinding(traits, operand)) return Infinity;
  const rows = Math.floor((traits.bindingBytes - traits.bindingAlignment) / (rowLength * DEVICE_BYTES[operand.dtype]));
  if (rows >= 64) return rows - (rows % 64);
  return rows >= 4 ? rows - (rows % 4) : Math.max(1, rows);
}

/** [0, total) in pieces of at most `step`; one empty piece for nothing. */
export function rangesOf(total: number, step: number): Range[] {
  if (total <= step) return [{ begin: 0, end: total }];
  return Array.from({ length: Math.ceil(total / step) }, (_, index) => ({ begin: index * step, end: Math.min(total, (index + 1) * step) }));
}
