// Argument checks that several ops share. Each raises an error that names the op and says what to do.
import { isFloat, type DType } from '../dtype.js';
import type { Engine } from '../engine.js';
import { XMoEError } from '../errors.js';
import { formatShape } from '../shape.js';
import { describeArgument, requireInteger, requireName, requireNumber, requireOptions } from '../checks.js';
import { requireDTypeName } from '../host-values.js';
import { Tensor } from '../tensor.js';

export { requireDTypeName, requireInteger, requireName, requireNumber, requireOptions };

export function requireTensor(op: string, name: string, value: unknown): void {
  if (value instanceof Tensor) return;
  throw new XMoEError('value', `${name} is ${describeArgument(value)}, not a tensor`, { op, hint: 'make one with engine.tensor(values, shape)' });
}

/** The engine of an argument that has to be a tensor. */
export function engineOf(op: string, name: string, tensor: Tensor): Engine {
  requireTensor(op, name, tensor);
  return tensor.engine;
}

/** A list, whatever is in it. */
export function requireList(op: string, name: string, list: unknown): void {
  if (Array.isArray(list)) return;
  throw new XMoEError('value', `${name} is ${describeArgument(list)}, not a list`, { op, hint: 'pass an array' });
}

/** Raises before the op has allocated anything. */
export function requireAlive(op: string, name: string, tensor: Tensor): void {
  requireTensor(op, name, tensor);
  if (!tensor.disposed) return;
  throw new XMoEError('disposed', `${name} ${tensor.toString()} was used after it was disposed`, {
    op,
    hint: 'return it from the scope that made it, or call keep() on it',
  });
}

export function requireRank(op: string, name: string, tensor: Tensor, rank: number): void {
  requireTensor(op, name, tensor);
  if (tensor.rank === rank) return;
  throw new XMoEError('shape', `${name} must have ${rank} axes, got ${formatShape(tensor.shape)}`, { op, hint: 'reshape it first' });
}

export function requireDType(op: string, name: string, tensor: Tensor, ...dtypes: readonly DType[]): void {
  requireAlive(op, name, tensor);
  if (dtypes.includes(tensor.dtype)) return;
  throw new XMoEError('dtype', `${name} must be ${dtypes.join(' or ')}, got ${tensor.dtype}`, { op, hint: 'cast it first' });
}

export function requireFloat(op: string, name: string, tensor: Tensor): void {
  requireAlive(op, name, tensor);
  if (isFloat(tensor.dtype)) return;
  throw new XMoEError('dtype', `${name} must be float32 or float16, got ${tensor.dtype}`, { op, hint: 'cast it first' });
}

export function requireSameDType(op: string, a: Tensor, b: Tensor): void {
  requireAlive(op, 'an argument', a);
  requireAlive(op, 'an argument', b);
  if (a.dtype === b.dtype) return;
  throw new XMoEError('dtype', `dtypes differ: ${a.dtype} and ${b.dtype}`, { op, hint: 'cast one of them: there is no implicit promotion' });
}

export function requireExtent(op: string, what: string, actual: number, expected: number): void {
  if (actual === expected) return;
  throw new XMoEError('shape', `${what} is ${actual}, expected ${expected}`, { op, hint: 'check the shapes of the arguments' });
}

/** All tensors live where the first does; nulls are optional arguments that were not given. */
export function requireSameEngine(op: string, first: Tensor, ...others: readonly (Tensor | null | undefined)[]): void {
  requireTensor(op, 'an argument', first);
  for (const other of others) {
    if (other === null || other === undefined) continue;
    requireTensor(op, 'an argument', other);
    if (other.engine === first.engine) continue;
    throw new XMoEError('backend', `tensors live on different engines: ${first.engine.backend.name} and ${other.engine.backend.name}`, {
      op,
      hint: 'copy one with engine.tensor(await other.data(), other.shape)',
    });
  }
}

/** x [R, d] in groups of rows by `offsets` [G + 1], each to be multiplied with its own of w [G, ·, ·]. */
export function requireGroups(op: string, x: Tensor, w: Tensor, offsets: Tensor, transposeW: boolean): void {
  requireRank(op, 'x', x, 2);
  requireRank(op, 'w', w, 3);
  requireFloat(op, 'x', x);
  requireSameDType(op, x, w);
  requireRank(op, 'offsets', offsets, 1);
  requireDType(op, 'offsets', offsets, 'int32');
  requireExtent(op, 'the length of offsets', offsets.size, w.shape[0]! + 1);
  requireExtent(op, 'the inner dimension of w', w.shape[transposeW ? 2 : 1]!, x.shape[1]!);
}

export function requireKey(op: string, key: Tensor): void {
  requireDType(op, 'key', key, 'uint32');
  requireExtent(op, 'the size of key', key.size, 2);
}
