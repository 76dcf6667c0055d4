// Ops that move elements without arithmetic: reshape, transpose, slice, broadcast, concat. All differentiable.
import { XMoEError } from '../errors.js';
import { broadcastShapes, formatShape, normalizeAxis, padRank, sameShape, sizeOf, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { requireAlive, requireList, requireSameDType, requireSameEngine } from './check.js';
import { sumTo } from './sum-to.js';
import { view } from './view.js';

/** The same elements under another shape; no copy. One extent may be −1. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  requireAlive('reshape', 'x', x);
  requireList('reshape', 'the shape', shape);
  const target = inferExtent(x, shape);
  const out = x.engine.alias(x, target);
  const original = x.shape;
  x.engine.tape?.record({ op: 'reshape', inputs: [x], outputs: [out], saved: [], backward: ([dy]) => [reshape(dy!, original)] });
  return out;
}

function inferExtent(x: Tensor, shape: Shape): Shape {
  if (!shape.includes(-1) && sizeOf(shape) === x.size && shape.every((extent) => extent >= 0)) return shape;
  const holes = shape.filter((extent) => extent === -1).length;
  const known = sizeOf(shape.filter((extent) => extent !== -1));
  const target = shape.map((extent) => (extent === -1 ? x.size / known : extent));
  if (holes > 1 || sizeOf(target) !== x.size || !target.every((extent) => Number.isInteger(extent) && extent >= 0)) {
    throw new XMoEError('shape', `cannot see ${formatShape(x.shape)} as ${formatShape(shape)}`, {
      op: 'reshape',
      hint: `the sizes must agree: ${x.size} elements`,
    });
  }
  return target;
}

/** Axis i of the result is axis permutation[i] of x; by default the last two axes are swapped. */
export function transpose(x: Tensor, permutation: readonly number[] = swapLast(x?.rank)): Tensor {
  requireAlive('transpose', 'x', x);
  requireList('transpose', 'the permutation', permutation);
  const valid = permutation.length === x.rank && [...permutation].sort((a, b) => a - b).every((axis, index) => axis === index);
  if (!valid) {
    throw new XMoEError('shape', `${formatShape(permutation)} is not a permutation of the axes of ${formatShape(x.shape)}`, {
      op: 'transpose',
      hint: `name each axis 0 … ${x.rank - 1} once`,
    });
  }
  const out = x.engine.empty(permutation.map((axis) => x.shape[axis]!), x.dtype);
  x.engine.kernels.transpose({ x }, { out }, { permutation });
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  x.engine.tape?.record({ op: 'transpose', inputs: [x], outputs: [out], saved: [], backward: ([dy]) => [transpose(dy!, inverse)] });
  return out;
}

function swapLast(rank: number): number[] {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  if (rank >= 2) [axes[rank - 2], axes[rank - 1]] = [rank - 1, rank - 2];
  return axes;
}

function fits(start: number, size: number, extent: number): boolean {
  return Number.isInteger(start) && Number.isInteger(size) && start >= 0 && size >= 0 && start + size <= extent;
}

/** x[begin : begin + size] on each axis. */
export function slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor {
  requireAlive('slice', 'x', x);
  requireList('slice', 'begin', begin);
  requireList('slice', 'size', size);
  const inside = begin.length === x.rank && size.length === x.rank && begin.every((start, axis) => fits(start, size[axis]!, x.shape[axis]!));
  if (!inside) {
    throw new XMoEError('shape', `begin ${formatShape(begin)} with size ${formatShape(size)} leaves ${formatShape(x.shape)}`, {
      op: 'slice',
      hint: 'give one start and one size per axis, inside the tensor',
    });
  }
  const out = x.engine.empty(size, x.dtype);
  x.engine.kernels.slice({ x }, { out }, { begin });
  const shape = x.shape;
  x.engine.tape?.record({ op: 'slice', inputs: [x], outputs: [out], saved: [], backward: ([dy]) => [pad(dy!, begin, shape)] });
  return out;
}

/** Zeros of `shape` with x placed at `begin`: the inverse of {@link slice}. */
export function pad(x: Tensor, begin: readonly number[], shape: Shape): Tensor {
  requireAlive('pad', 'x', x);
  requireList('pad', 'begin', begin);
  requireList('pad', 'the shape', shape);
  const inside = begin.length === x.rank && shape.length === x.rank && begin.every((start, axis) => fits(start, x.shape[axis]!, shape[axis]!));
  if (!inside) {
    throw new XMoEError('shape', `${formatShape(x.shape)} at ${formatShape(begin)} leaves ${formatShape(shape)}`, {
      op: 'pad',
      hint: 'give one start per axis and a shape that holds x',
    });
  }
  let out = x;
  for (let axis = 0; axis < x.rank; axis++) {
    const before = begin[axis]!;
    const after = shape[axis]! - before - out.shape[axis]!;
    const zeros = (extent: number): Tensor => x.engine.zeros(out.shape.map((size, index) => (index === axis ? extent : size)), x.dtype);
    const parts = [...(before > 0 ? [zeros(before)] : []), out, ...(after > 0 ? [zeros(after)] : [])];
    if (parts.length > 1) out = concat(parts, axis);
  }
  return out === x ? reshape(x, x.shape) : out;
}

/** Repeats axes of size 1 up to `shape` (NumPy rules). */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  requireAlive('broadcastTo', 'x', x);
  requireList('broadcastTo', 'the shape', shape);
  const target = broadcastShapes(x.shape, shape, 'broadcastTo');
  if (!sameShape(target, shape)) {
    throw new XMoEError('shape', `${formatShape(x.shape)} does not broadcast to ${formatShape(shape)}`, { op: 'broadcastTo', hint: 'only axes of size 1 repeat' });
  }
  const out = x.engine.empty(shape, x.dtype);
  x.engine.kernels.broadcast({ x: view(x, padRank(x.shape, shape.length)) }, { out });
  const original = x.shape;
  x.engine.tape?.record({ op: 'broadcast', inputs: [x], outputs: [out], saved: [], backward: ([dy]) => [sumTo(dy!, original)] });
  return out;
}

/** Joins tensors along `axis`; the other axes agree. */
export function concat(inputs: readonly Tensor[], axis: number): Tensor {
  requireList('concat', 'the list of inputs', inputs);
  const first = inputs[0];
  if (!first) throw new XMoEError('value', 'there is nothing to join', { op: 'concat', hint: 'pass at least one tensor' });
  requireAlive('concat', 'inputs[0]', first);
  const along = normalizeAxis(axis, first.rank, 'concat');
  for (const input of inputs) {
    requireSameEngine('concat', first, input);
    requireSameDType('concat', first, input);
    const agree = input.rank === first.rank && input.shape.every((extent, index) => index === along || extent === first.shape[index]);
    if (!agree) {
      throw new XMoEError('shape', `${formatShape(input.shape)} does not join ${formatShape(first.shape)} along axis ${along}`, {
        op: 'concat',
        hint: 'all other axes must agree',
      });
    }
  }
  const shape = first.shape.map((extent, index) => (index === along ? inputs.reduce((sum, input) => sum + input.shape[along]!, 0) : extent));
  const out = first.engine.empty(shape, first.dtype);
  first.engine.kernels.concat({ parts: inputs }, { out }, { axis: along });
  const shapes = inputs.map((input) => input.shape);
  first.engine.tape?.record({
    op: 'concat',
    inputs,
    outputs: [out],
    saved: [],
    backward: ([dy], _saved, needs) => {
      let start = 0;
      return shapes.map((part, index) => {
        const begin = part.map((_, position) => (position === along ? start : 0));
        start += part[along]!;
        return needs[index] ? slice(dy!, begin, part) : null;
      });
    },
  });
  return out;
}
