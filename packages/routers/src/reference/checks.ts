// Checks of arguments that only routers have; the general ones are core's.
import { XMoEError, describeArgument } from '@xmoe/core';

/** Flat logits [T, N] are T·N numbers. @throws XMoEError `shape`. */
export function requireLength(op: string, logits: unknown, length: number): void {
  const found: unknown = (logits as { length?: unknown } | null | undefined)?.length;
  if (typeof logits === 'object' && found === length) return;
  throw new XMoEError('shape', `logits are ${describeArgument(logits)}, not ${length} numbers`, { op, hint: 'pass [T, N] as one row-major array' });
}

/** The most experts that ids and tables of plain arrays are made for. */
export const MOST_EXPERTS = 2 ** 24;

/** Refuses T·N probabilities that no array holds. @throws XMoEError `memory`. */
export function requireRoom(op: string, T: number, N: number): void {
  if (T * N <= 2 ** 27) return; // 1 GiB
  throw new XMoEError('memory', `${T} tokens by ${N} experts are ${T * N} probabilities`, { op, hint: 'route fewer tokens at once' });
}
