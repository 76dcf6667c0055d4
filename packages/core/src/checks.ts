// Checks of arguments from JavaScript and parsed JSON, for every package: one-line errors that name the operation and the argument.
// Types say the same, but not everyone has them. Not a schema language; of tensors is ops/check.ts, of data for them host-values.ts.
import { XMoEError, nearestName } from './errors.js';
import type { RandomKey } from './random.js';

/** A short rendering of any value for an error line, without line breaks. */
export function describeArgument(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 24 ? `${value.slice(0, 24)}…` : value);
  if (typeof value === 'function') return 'a function';
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** Options are an object; their keys are the caller's matter. @throws XMoEError `value` naming what was given. */
export function requireOptions(op: string, options: unknown): void {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return;
  throw new XMoEError('value', `options are ${describeArgument(options)}`, { op, hint: 'pass an object of options' });
}

/** Returns `value` if it is a finite number. @throws XMoEError `value` naming `name`. */
export function requireFinite(op: string, name: string, value: unknown, hint?: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new XMoEError('value', `${name} is ${describeArgument(value)}, not a finite number`, { op, hint });
}

/** Returns `value` if it is an integer in `[least, most]`. @throws XMoEError `value` naming `name` and the range. */
export function requireInteger(op: string, name: string, value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  const range = most >= Number.MAX_SAFE_INTEGER ? `an integer of at least ${least}` : `an integer from ${least} to ${most}`;
  throw new XMoEError('value', `${name} is ${describeArgument(value)}, not ${range}`, { op });
}

/** Refuses what is no number; NaN and infinities are. @throws XMoEError `value` naming `name`. */
export function requireNumber(op: string, name: string, value: unknown): void {
  if (typeof value === 'number') return;
  throw new XMoEError('value', `${name} is ${describeArgument(value)}, not a number`, { op, hint: 'pass a number' });
}

/** Returns `value` if it is true or false. @throws XMoEError `value` naming `name`. */
export function requireFlag(op: string, name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new XMoEError('value', `${name} is ${describeArgument(value)}, not true or false`, { op });
}

/** A key of random numbers: two words. @throws XMoEError `value` naming `name`. */
export function requireRandomKey(op: string, name: string, key: unknown): RandomKey {
  const isWord = (word: unknown): boolean => Number.isInteger(word) && (word as number) >= 0 && (word as number) < 2 ** 32;
  if (Array.isArray(key) && key.length === 2 && key.every(isWord)) return key as unknown as RandomKey;
  throw new XMoEError('value', `${name} is ${describeArgument(key)}, not a key`, { op, hint: 'make one by randomKey(seed)' });
}

/** Refuses a key of `object` that is not in `known`, naming the nearest known key. @throws XMoEError `config`. */
export function refuseUnknownKeys(op: string, object: unknown, known: readonly string[]): void {
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    throw new XMoEError('config', `expected an object, got ${describeArgument(object)}`, { op });
  }
  for (const key of Object.keys(object)) if (!known.includes(key)) throw unknownName(op, 'key', key, known);
}

/** Returns `name` if it is one of `known`. @throws XMoEError `config` with the nearest one. */
export function requireName<Name extends string>(op: string, kind: string, name: unknown, known: readonly Name[]): Name {
  const found = known.find((one) => one === name);
  if (found !== undefined) return found;
  throw unknownName(op, kind, name, known);
}

/** The error for a `name` that is none of `known`: its hint gives the nearest one, or all of them. */
export function unknownName(op: string, kind: string, name: unknown, known: readonly string[]): XMoEError {
  const near = typeof name === 'string' ? nearestName(name, known) : undefined;
  const hint = near === undefined ? `known: ${known.join(', ')}` : `did you mean ${JSON.stringify(near)}?`;
  const message = name === undefined ? `${kind} is missing` : `unknown ${kind} ${describeArgument(name)}`;
  return new XMoEError('config', message, { op, hint });
}
