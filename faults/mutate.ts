// Damages texts, bytes and JSON values in the ways that files and people do, and in the ways of those who mean harm. Always the same for a
// stream of random numbers; knows nothing of formats.

/** A number from 0 to `count` − 1. */
export type Pick = (count: number) => number;

const ODD_TEXTS = ['__proto__', 'constructor', 'prototype', 'toString', '', '\u0000', '\u2028', '\ud800', '/../x', '<script>', 'NaN', '-1', 'null', '\ufeff', 'e\u0301', '\u001b[31m', '\r'];
const ODD_VALUES: readonly unknown[] = [0, -0, -1, 1, 0.5, 1e308, 1e-320, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), 1e21, 255, 65536, null, true, '', '1', [], {}, [null], 1e9];
const ODD_LITERALS = ['NaN', 'Infinity', '1e400', '-0', '01', '0x10', 'undefined', "'a'", '{"__proto__":{"polluted":1}}', '"\\u0000"', '"\\ud800"', '['.repeat(300)];

const oneOf = <Item>(items: readonly Item[], pick: Pick): Item => items[pick(items.length)]!;

/** `value` with one place of it changed. */
export function mutateJson(value: unknown, pick: Pick, depth = 0): unknown {
  if (pick(5) === 0 || depth > 6) return oneOf(ODD_VALUES, pick);
  if (Array.isArray(value)) return mutateArray(value, pick, depth);
  if (typeof value === 'object' && value !== null) return mutateObject(value as Record<string, unknown>, pick, depth);
  if (typeof value === 'number') return oneOf([...ODD_VALUES, value + 1, -value, value * 1e6, value / 3], pick);
  if (typeof value === 'string') return oneOf([...ODD_TEXTS, `${value}x`, value.slice(1), value.repeat(100), 7], pick);
  return oneOf(ODD_VALUES, pick);
}

function mutateArray(value: readonly unknown[], pick: Pick, depth: number): unknown[] {
  const array = [...value];
  const kind = pick(4);
  if (kind === 0) array.length = pick(array.length + 1);
  else if (kind === 1) array.push(oneOf([...ODD_VALUES, array[0]], pick));
  else if (kind === 2) array.push(...Array.from({ length: pick(500) }, (_, i) => array[i % (array.length || 1)] ?? 0));
  else if (array.length > 0) {
    const at = pick(array.length);
    array[at] = mutateJson(array[at], pick, depth + 1);
  }
  return array;
}

function mutateObject(value: Readonly<Record<string, unknown>>, pick: Pick, depth: number): Record<string, unknown> {
  const object = { ...value };
  const keys = Object.keys(object);
  const kind = pick(4);
  if (kind === 0 && keys.length > 0) delete object[oneOf(keys, pick)];
  else if (kind === 1) Object.defineProperty(object, oneOf(ODD_TEXTS, pick), { value: oneOf(ODD_VALUES, pick), enumerable: true, configurable: true, writable: true });
  else if (keys.length > 0) {
    const key = oneOf(keys, pick);
    object[key] = mutateJson(object[key], pick, depth + 1);
  }
  return object;
}

/** `text` with up to four places changed. */
export function mutateText(text: string, pick: Pick): string {
  let result = text;
  for (let times = pick(4); times >= 0; times--) {
    const at = pick(result.length + 1);
    const [before, after] = [result.slice(0, at), result.slice(at)];
    const changes = [
      () => before,
      () => before + oneOf([...ODD_TEXTS, ...ODD_LITERALS], pick) + after,
      () => before + after.slice(pick(20)),
      () => before + String.fromCharCode(pick(65536)) + after.slice(1),
      () => before + after.slice(0, pick(200)).repeat(pick(8)) + after,
      () => result.replace(/-?\d+(\.\d+)?/g, (number) => (pick(12) === 0 ? oneOf(ODD_LITERALS, pick) : number)),
    ];
    result = oneOf(changes, pick)();
  }
  return result;
}

/** `bytes` with up to six places changed. */
export function mutateBytes(bytes: Uint8Array, pick: Pick): Buffer {
  let result = Buffer.from(bytes);
  for (let times = pick(6); times >= 0; times--) {
    const at = pick(result.length || 1);
    const [before, after] = [result.subarray(0, at), result.subarray(at)];
    const kind = pick(7);
    if (kind === 0 && pick(3) === 0) result = Buffer.from(before);
    else if (kind === 1) result = Buffer.concat([before, Buffer.from(Array.from({ length: pick(16) }, () => pick(256))), after]);
    else if (kind === 2) result = Buffer.concat([before, after.subarray(pick(32))]);
    else if (kind === 3 && result.length > 4) result.writeUInt32LE(oneOf([0, 1, 0x7fffffff, 0xffffffff, 0x80000000, 65535], pick), pick(result.length - 4));
    else if (result.length > 0) result[at] = kind === 4 ? oneOf([0, 255, 127, 128], pick) : result[at]! ^ (1 << pick(8));
  }
  return result;
}

/** JSON text of a changed value, or changed JSON text of `value`. */
export function mutateJsonText(value: unknown, pick: Pick): string {
  return pick(2) === 0 ? (JSON.stringify(mutateJson(value, pick)) ?? '') : mutateText(JSON.stringify(value), pick);
}
