// One configuration merged over another. Not flags and assignments: overrides.ts.
import { XMoEError } from '@xmoe/core';
import { isForbiddenKey, isPlainObject, type JsonObject, type JsonValue } from '@xmoe/files';

/** `over` merged on top of `base`: objects key by key, everything else replaced. Neither is changed. */
export function mergeJson(base: JsonObject, over: JsonObject): JsonObject {
  const result: JsonObject = structuredClone(base);
  for (const [key, value] of Object.entries(over)) {
    if (isForbiddenKey(key)) throw new XMoEError('config', `the key "${key}" is not allowed`);
    const old: JsonValue | undefined = Object.hasOwn(result, key) ? result[key] : undefined;
    const bothObjects = isPlainObject(old) && isPlainObject(value);
    result[key] = bothObjects ? mergeJson(old as JsonObject, value as JsonObject) : structuredClone(value);
  }
  return result;
}
