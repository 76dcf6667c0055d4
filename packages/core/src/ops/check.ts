// Argument checks that several ops share. Each raises an error that names the op and says what to do.
import { isFloat, type DType } from '../dtype.js';
import { XMoEError } from '../errors.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';

/** Raises before the op has allocated anything. */
export function requireAlive(op: string, name: string, tensor: Tensor): void {
  if (!tensor.disposed) return;
  throw new XMoEError('disposed', `${name} ${tensor.toString()} was used after it was disposed`, {
    op,
    hint: 'return it from the scope that made it, or call keep() on it',
  });
}

export function requireRank(op: string, name: string, tensor: Tensor, rank: number): void {
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
  for (const other of others) {
    if (!other || other.engine === first.engine) continue;
    throw new XMoEError('backend', `tensors live on different engines: ${first.engine.backend.name} and ${other.engine.backend.name}`, {
      op,
      hint: 'copy one with engine.tensor(await other.data(), other.shape)',
    });
  }
}

export function requireKey(op: string, key: Tensor): void {
  requireDType(op, 'key', key, 'uint32');
  requireExtent(op, 'the size of key', key.size, 2);
}
