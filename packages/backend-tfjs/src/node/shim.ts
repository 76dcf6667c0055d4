// tfjs-node 4.22 calls helpers that Node 23 removed from `util`. This puts the missing ones back before it is loaded.
type Predicate = (value: unknown) => boolean;

const removed: Record<string, Predicate> = {
  isNullOrUndefined: (value) => value === null || value === undefined,
  isArray: Array.isArray,
  isString: (value) => typeof value === 'string',
  isNumber: (value) => typeof value === 'number',
  isBoolean: (value) => typeof value === 'boolean',
  isFunction: (value) => typeof value === 'function',
  isObject: (value) => typeof value === 'object' && value !== null,
  isUndefined: (value) => value === undefined,
  isNull: (value) => value === null,
};

/** Adds the helpers that `util` lacks; those that Node has stay. Returns the names it added. */
export function shimNodeUtil(util: Record<string, unknown>): string[] {
  const added = Object.keys(removed).filter((name) => typeof util[name] !== 'function');
  for (const name of added) util[name] = removed[name];
  return added;
}
