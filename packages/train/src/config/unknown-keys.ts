// Finds keys of a configuration that its zod schema does not know, at every depth, whether or not the schema's objects
// are strict. Not a validator of values: parse-config.ts runs the schema itself.
import type { z } from 'zod';
import { isPlainObject } from '@xmoe/files';

/** A key the schema does not know, and the names that it knows in the same place. */
export interface UnknownKey {
  path: readonly (string | number)[];
  value: unknown;
  known: readonly string[];
}

type Schema = z.core.$ZodType;
type Path = readonly (string | number)[];

/** All keys of `value` unknown to `schema`. Records, catch-alls and loose objects accept any key. */
export function findUnknownKeys(schema: Schema, value: unknown, path: Path = []): UnknownKey[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'object':
      return inObject(def, value, path);
    case 'array':
      return Array.isArray(value) ? value.flatMap((item, i) => findUnknownKeys(def.element, item, [...path, i])) : [];
    case 'tuple':
      return Array.isArray(value)
        ? value.flatMap((item, i) => {
            const element = def.items[i] ?? def.rest;
            return element ? findUnknownKeys(element, item, [...path, i]) : [];
          })
        : [];
    case 'record':
      return isPlainObject(value)
        ? Object.entries(value).flatMap(([key, item]) => findUnknownKeys(def.valueType, item, [...path, key]))
        : [];
    case 'union':
      return inUnion(def.options, value, path);
    case 'intersection':
      return inIntersection(def, value, path);
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'nonoptional':
    case 'readonly':
    case 'catch':
      return findUnknownKeys(def.innerType, value, path);
    case 'pipe':
      // `preprocess` puts its transform first: the schema that describes the input is then the second one.
      return findUnknownKeys((def.in as z.core.$ZodTypes)._zod.def.type === 'transform' ? def.out : def.in, value, path);
    case 'lazy':
      return value === undefined ? [] : findUnknownKeys(def.getter(), value, path);
    default:
      return [];
  }
}

function inObject(def: z.core.$ZodObjectDef, value: unknown, path: Path): UnknownKey[] {
  if (!isPlainObject(value)) return [];
  const open = def.catchall !== undefined && (def.catchall as z.core.$ZodTypes)._zod.def.type !== 'never';
  const known = Object.keys(def.shape);
  return Object.entries(value).flatMap(([key, item]) => {
    if (Object.hasOwn(def.shape, key)) return findUnknownKeys(def.shape[key]!, item, [...path, key]);
    return open ? [] : [{ path: [...path, key], value: item, known }];
  });
}

/** A union accepts what one of its options accepts: the option that knows most of the keys speaks for it. */
function inUnion(options: readonly Schema[], value: unknown, path: Path): UnknownKey[] {
  const matching = options.filter((option) => discriminatorsMatch(option, value));
  const found = (matching.length > 0 ? matching : options).map((option) => findUnknownKeys(option, value, path));
  return found.reduce((best, next) => (next.length < best.length ? next : best), found[0] ?? []);
}

/** Whether each literal field of an object schema equals the value's: what tells the options of a union apart. */
function discriminatorsMatch(option: Schema, value: unknown): boolean {
  const { def } = (option as z.core.$ZodTypes)._zod;
  if (def.type !== 'object') return !isPlainObject(value);
  if (!isPlainObject(value)) return false;
  return Object.entries(def.shape).every(([key, field]) => {
    const inner = (field as z.core.$ZodTypes)._zod.def;
    return inner.type !== 'literal' || (inner.values as readonly unknown[]).includes(value[key]);
  });
}

/** A key is unknown to an intersection when both sides do not know it. */
function inIntersection(def: z.core.$ZodIntersectionDef, value: unknown, path: Path): UnknownKey[] {
  const right = new Map(findUnknownKeys(def.right, value, path).map((key) => [key.path.join('.'), key]));
  return findUnknownKeys(def.left, value, path).flatMap((key) => {
    const other = right.get(key.path.join('.'));
    return other ? [{ ...key, known: [...key.known, ...other.known] }] : [];
  });
}
