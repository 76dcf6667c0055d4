// Argument checks with one-line errors that name the argument. Not a schema language.
import { XMoEError, nearestName, type RandomKey } from '@xmoe/core';

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

/** A key of random numbers: two words. @throws XMoEError `value` naming `name`. */
export function requireRandomKey(name: string, key: unknown, op: string): RandomKey {
  const isWord = (word: unknown): boolean => Number.isInteger(word) && (word as number) >= 0 && (word as number) < 2 ** 32;
  if (Array.isArray(key) && key.length === 2 && key.every(isWord)) return key as unknown as RandomKey;
  throw new XMoEError('value', `${name} is ${describeValue(key)}, not a key`, { op, hint: 'make one by randomKey(seed)' });
}

/** Options of a router: an object. @throws XMoEError `value` naming what was given. */
export function requireObject(options: unknown, op: string): void {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return;
  throw new XMoEError('value', `options are ${describeValue(options)}`, { op, hint: 'pass an object of options' });
}

/** Flat logits [T, N] are T·N numbers. @throws XMoEError `shape`. */
export function requireLength(logits: unknown, length: number, op: string): void {
  const found: unknown = (logits as { length?: unknown } | null | undefined)?.length;
  if (typeof logits === 'object' && found === length) return;
  throw new XMoEError('shape', `logits are ${describeValue(logits)}, not ${length} numbers`, { op, hint: 'pass [T, N] as one row-major array' });
}

/** The most experts that ids and tables of plain arrays are made for. */
export const MOST_EXPERTS = 2 ** 24;

/** Refuses T·N probabilities that no array holds. @throws XMoEError `memory`. */
export function requireRoom(T: number, N: number, op: string): void {
  if (T * N <= 2 ** 27) return; // 1 GiB
  throw new XMoEError('memory', `${T} tokens by ${N} experts are ${T * N} probabilities`, { op, hint: 'route fewer tokens at once' });
}

/** A threshold of a configuration. Routers themselves take any finite t (Section 4: t ≤ 0 is top-1, t ≥ 1 all N). */
export function requireConfiguredThreshold(threshold: unknown, op: string): void {
  const t = requireFinite('threshold', threshold, op, 'pass t as a number, for example 0.9');
  if (t >= 0 && t <= 1) return;
  throw new XMoEError('value', `threshold is ${t}, outside 0 … 1`, { op, hint: 'it is a share of probability: 0 takes one expert, 1 takes all' });
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
