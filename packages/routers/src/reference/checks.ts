// Argument checks with one-line errors that name the argument. Not a schema language.
import { XMoEError, nearestName } from '@xmoe/core';

/** A short rendering of any value for an error line, without line breaks. */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 24 ? `${value.slice(0, 24)}…` : value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function') return 'a function';
  return value === undefined ? 'missing' : String(value);
}

/** Returns `value` if it is a finite number. @throws XMoEError `value` naming `name`. */
export function requireFinite(name: string, value: unknown, op: string, hint?: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new XMoEError('value', `${name} is ${describeValue(value)}, not a finite number`, { op, hint });
}

/** Returns `value` if it is an integer in `[least, most]`. @throws XMoEError `value` naming `name` and the range. */
export function requireInteger(name: string, value: unknown, least: number, most: number, op: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  const range = most === Infinity ? `an integer of at least ${least}` : `an integer from ${least} to ${most}`;
  throw new XMoEError('value', `${name} is ${describeValue(value)}, not ${range}`, { op });
}

/** Refuses a key of `object` that is not in `known`, naming the nearest known key. @throws XMoEError `config`. */
export function refuseUnknownKeys(object: unknown, known: readonly string[], op: string): void {
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    throw new XMoEError('config', `expected an object, got ${describeValue(object)}`, { op });
  }
  for (const key of Object.keys(object)) if (!known.includes(key)) throw unknownName('key', key, known, op);
}

/** The error for a `name` that is none of `known`: its hint gives the nearest one, or all of them. */
export function unknownName(kind: string, name: unknown, known: readonly string[], op: string): XMoEError {
  const near = typeof name === 'string' ? nearestName(name, known) : undefined;
  const hint = near === undefined ? `known: ${known.join(', ')}` : `did you mean ${JSON.stringify(near)}?`;
  const message = name === undefined ? `${kind} is missing` : `unknown ${kind} ${describeValue(name)}`;
  return new XMoEError('config', message, { op, hint });
}
