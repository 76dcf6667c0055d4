// One configuration merged over another. Not flags and assignments: overrides.ts.
import { XMoEError } from '@xmoe/core';
import { isForbiddenKey, isPlainObject, type JsonObject, type JsonValue } from '@xmoe/files';

/**
 * `over` merged on top of `base`: objects key by key, everything else replaced, and so is an object whose `type` is another: the keys of a
 * threshold router say nothing about top-k. Neither is changed.
 */
export function mergeJson(base: JsonObject, over: JsonObject): JsonObject {
  const result: JsonObject = structuredClone(base);
  for (const [key, value] of Object.entries(over)) {
    if (isForbiddenKey(key)) throw new XMoEError('config', `the key "${key}" is not allowed`);
    const old: JsonValue | undefined = Object.hasOwn(result, key) ? result[key] : undefined;
    result[key] = isPlainObject(old) && isPlainObject(value) && sameType(old, value) ? mergeJson(old, value) : structuredClone(value);
  }
  return result;
}

function sameType(old: JsonObject, value: JsonObject): boolean {
  return value.type === undefined || old.type === undefined || value.type === old.type;
}
