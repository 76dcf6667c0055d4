// Shape arithmetic shared by ops, fallbacks and backends. Knows nothing about buffers.
import { XMoEError } from './errors.js';
import type { AxisView } from './contract.js';

export type Shape = readonly number[];

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

/** Row-major strides in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false;
  return true;
}

export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** `axis` counted from the end when negative; an error when outside the rank. */
export function normalizeAxis(axis: number, rank: number, op: string): number {
  const normalized = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normalized < 0 || normalized >= rank) {
    throw new XMoEError('shape', `axis ${axis} is outside a tensor of rank ${rank}`, {
      op,
      hint: `pass an axis from ${-rank} to ${rank - 1}`,
    });
  }
  return normalized;
}

/** The NumPy broadcast of two shapes. */
export function broadcastShapes(a: Shape, b: Shape, op: string): Shape {
  if (sameShape(a, b) || b.length === 0) return a;
  if (a.length === 0) return b;
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let axis = 0; axis < rank; axis++) {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) {
      throw new XMoEError('shape', `shapes do not broadcast: ${formatShape(a)} and ${formatShape(b)}`, {
        op,
        hint: 'each axis, counted from the end, must be equal or 1',
      });
    }
    out[axis] = left === 1 ? right : left;
  }
  return out;
}

/** `shape` with axes of size 1 in front up to `rank`. */
export function padRank(shape: Shape, rank: number): Shape {
  if (shape.length === rank) return shape;
  return [...new Array<number>(rank - shape.length).fill(1), ...shape];
}

/** x of `shape` seen as [outer, size, inner] around the axes first … last. */
export function axisView(shape: Shape, first: number, last = first): AxisView {
  return {
    outer: sizeOf(shape.slice(0, first)),
    size: sizeOf(shape.slice(first, last + 1)),
    inner: sizeOf(shape.slice(last + 1)),
  };
}

/**
 * Merges neighbouring axes that broadcast alike, so that kernels see few axes. All shapes have the rank of `out`.
 * Equal shapes come back as rank 1. Rank 0 comes back as [1].
 */
export function collapseBroadcast(out: Shape, ...inputs: readonly Shape[]): { out: number[]; inputs: number[][] } {
  const size = sizeOf(out);
  // The common case, without a walk over the axes: every input is whole or one element.
  if (inputs.every((shape) => sizeOf(shape) === 1 || sameShape(shape, out))) {
    return { out: [size], inputs: inputs.map((shape) => (sizeOf(shape) === 1 ? [1] : [size])) };
  }
  const collapsedOut: number[] = [];
  const collapsed = inputs.map((): number[] => []);
  let previous: boolean[] | undefined;
  for (let axis = 0; axis < out.length; axis++) {
    if (out[axis] === 1) continue;
    const repeats = inputs.map((shape) => shape[axis] !== out[axis]);
    const merge = previous !== undefined && repeats.every((value, index) => value === previous![index]);
    if (merge) {
      collapsedOut[collapsedOut.length - 1]! *= out[axis]!;
      collapsed.forEach((shape, index) => (shape[shape.length - 1]! *= inputs[index]![axis]!));
    } else {
      collapsedOut.push(out[axis]!);
      collapsed.forEach((shape, index) => shape.push(inputs[index]![axis]!));
    }
    previous = repeats;
  }
  if (collapsedOut.length === 0) return { out: [1], inputs: inputs.map(() => [1]) };
  return { out: collapsedOut, inputs: collapsed };
}
