// What counts as plain JSON here, and the check that a value is exactly that. Not a parser (see strict-json.ts).
import { XMoEError, type ErrorCode } from '@xmoe/core';

/** A value that survives `JSON.stringify` and `JSON.parse` unchanged. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;
/** A JSON object. */
export interface JsonObject {
  [key: string]: JsonValue;
}

/** The key that plain data must not have: assigned, it would replace the object's prototype. */
export const PROTOTYPE_KEY = '__proto__';

/** Whether `key` must not be a key of a configuration: merged carelessly it would reach the prototype of all objects. */
export function isForbiddenKey(key: string): boolean {
  return key === PROTOTYPE_KEY || key === 'constructor' || key === 'prototype';
}

/** Whether `value` is an object literal (or a null-prototype object), not an array, class instance or typed array. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * Refuses what JSON cannot hold: NaN and infinities (JSON would write null), undefined in arrays, typed arrays, class
 * instances, cycles, and the key `__proto__`. A property whose value is undefined is allowed: JSON leaves it out.
 * @throws XMoEError `code` (default `value`) that names the path.
 */
export function assertJson(
  value: unknown,
  options: { where: string; code?: ErrorCode },
): asserts value is JsonValue {
  walk(value, options.where, options.code ?? 'value', []);
}

/** `value` as the JSON that it is. @throws XMoEError `value` naming what JSON cannot hold, as {@link assertJson}. */
export function jsonObject(value: object, where: string): JsonObject {
  assertJson(value, { where });
  return value as JsonObject;
}

function walk(value: unknown, path: string, code: ErrorCode, parents: readonly unknown[]): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return;
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return;
    throw new XMoEError(code, `${path} is ${value}, which JSON cannot hold`, {
      hint: 'store null, or find where the value stopped being finite',
    });
  }
  if (parents.includes(value)) throw new XMoEError(code, `${path} refers back to an object that contains it`);
  const nested = [...parents, value];
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) walk(value[i], `${path}[${i}]`, code, nested);
    return;
  }
  if (!isPlainObject(value)) {
    throw new XMoEError(code, `${path} is ${describe(value)}, not plain JSON`, {
      hint: 'convert it to numbers, strings, booleans, null, arrays or plain objects first',
    });
  }
  for (const [key, entry] of Object.entries(value)) {
    if (key === PROTOTYPE_KEY) throw new XMoEError(code, `${path} has the forbidden key "${key}"`);
    if (entry !== undefined) walk(entry, `${path}.${key}`, code, nested);
  }
}

function describe(value: unknown): string {
  if (typeof value === 'object' && value !== null) return `an instance of ${value.constructor?.name ?? 'a class'}`;
  return value === undefined ? 'undefined' : `a ${typeof value}`;
}
