// Command-line overrides of a configuration: `--set a.b=value` and flat flags such as `--learning-rate 3e-4`.
// Not a parser of argv, and not a validator: parseConfig runs on the result.
import { nearestName, XMoEError } from '@xmoe/core';
import { isForbiddenKey, isPlainObject, parseJson, type JsonObject, type JsonValue } from '@xmoe/files';

export interface Overrides {
  /** Assignments `a.b=value`, as given to `--set`. Applied last, in order. */
  set?: readonly string[];
  /** Flags by name, kebab-case or camelCase or a dotted path. A string is read as JSON when it is JSON. */
  flags?: Readonly<Record<string, JsonValue | undefined>>;
  /** Flag name to dotted path, for keys that the configuration need not hold, e.g. `{ 'max-steps': 'train.steps' }`. */
  aliases?: Readonly<Record<string, string>>;
}

/**
 * A copy of `config` with the overrides applied. A flat flag sets the one key of that name, wherever it is.
 * @throws XMoEError `config` for a malformed assignment, an unknown flag (with the nearest name) or an ambiguous one
 */
export function mergeOverrides(config: JsonObject, { set = [], flags = {}, aliases = {} }: Overrides): JsonObject {
  const result = structuredClone(config);
  for (const [flag, value] of Object.entries(flags)) {
    if (value === undefined) continue;
    assign(result, flagPath(config, flag, aliases), typeof value === 'string' ? readValue(value) : value, `--${flag}`);
  }
  for (const assignment of set) {
    const [path, value] = parseAssignment(assignment);
    assign(result, path, value, `--set ${assignment}`);
  }
  return result;
}

/** `a.b=value` as its path and its value: JSON when the text is JSON (`3e-4`, `true`, `[1,2]`), else the text itself. */
export function parseAssignment(assignment: string): [path: string[], value: JsonValue] {
  const equals = assignment.indexOf('=');
  const path = assignment.slice(0, Math.max(0, equals)).trim().split('.');
  if (equals < 1 || path.some((part) => part === '')) {
    throw new XMoEError('config', `--set ${assignment}: expected key.path=value`, {
      hint: 'for example --set model.experts=16',
    });
  }
  return [path, readValue(assignment.slice(equals + 1))];
}

function readValue(text: string): JsonValue {
  if (/^\s*[[{]/.test(text)) return parseJson(text, { where: 'the value of a flag' });
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}

function assign(root: JsonObject, path: readonly string[], value: JsonValue, flag: string): void {
  const forbidden = path.find(isForbiddenKey);
  if (forbidden) throw new XMoEError('config', `${flag}: the key "${forbidden}" is not allowed`);
  let at: JsonObject = root;
  path.slice(0, -1).forEach((key, i) => {
    if (at[key] === undefined && !Array.isArray(at)) at[key] = {};
    const next = at[key];
    if (!isPlainObject(next) && !Array.isArray(next)) {
      throw new XMoEError('config', `${flag}: ${path.slice(0, i + 1).join('.')} is ${JSON.stringify(next)}, not an object`);
    }
    at = next as JsonObject;
  });
  const last = path.at(-1)!;
  if (Array.isArray(at) && !(Number(last) < at.length && /^\d+$/.test(last))) {
    throw new XMoEError('config', `${flag}: "${last}" is not an index of a list of ${at.length}`);
  }
  at[last] = value;
}

function flagPath(config: JsonObject, flag: string, aliases: Readonly<Record<string, string>>): string[] {
  if (Object.hasOwn(aliases, flag)) return aliases[flag]!.split('.');
  if (flag.includes('.')) return flag.split('.');
  const name = flag.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  const paths = keyPaths(config);
  const matches = paths.filter((path) => path.at(-1) === name);
  if (matches.length === 1) return matches[0]!;
  if (matches.length > 1) {
    const places = matches.map((path) => path.join('.'));
    throw new XMoEError('config', `--${flag} is ambiguous: ${places.join(' or ')}`, {
      hint: `write --set ${places[0]}=VALUE`,
    });
  }
  const known = [...paths.map((path) => toKebab(path.at(-1)!)), ...Object.keys(aliases)];
  const near = nearestName(flag, known);
  throw new XMoEError('config', `unknown flag --${flag}${near ? `, did you mean --${near}?` : ''}`, {
    hint: 'a flag names one key of the configuration; --set a.b=value reaches any key',
  });
}

function keyPaths(value: JsonObject, prefix: readonly string[] = []): string[][] {
  return Object.entries(value).flatMap(([key, item]) => {
    const path = [...prefix, key];
    return isPlainObject(item) ? [path, ...keyPaths(item as JsonObject, path)] : [path];
  });
}

function toKebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
