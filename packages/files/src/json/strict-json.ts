// A strict JSON reader: JSON.parse keeps the last of duplicate keys silently and makes `__proto__` an own key; this one
// refuses both and says where. Not a lenient reader: no comments, no trailing commas. Linear in the length of the text.
import { describeArgument, XMoEError, type ErrorCode } from '@xmoe/core';
import { PROTOTYPE_KEY, type JsonValue } from './json-value.js';

export interface ParseJsonOptions {
  /** What is being read, for error messages: a file's path, a flag's name. Default: the text. */
  where?: string;
  /** The code of the errors thrown. Default `config`. */
  code?: ErrorCode;
}

/** Objects and arrays inside each other. Far more than any file here has, and few enough for whatever walks the value. */
export const MAXIMUM_JSON_DEPTH = 256;

/**
 * Parses `text` as JSON, refusing duplicate keys, the key `__proto__` and more than {@link MAXIMUM_JSON_DEPTH} levels.
 * @throws XMoEError that names `where`, the line, the column and the key.
 */
export function parseJson(text: string, { where = 'the text', code = 'config' }: ParseJsonOptions = {}): JsonValue {
  if (typeof text !== 'string') throw new XMoEError(code, `${where} is ${describeArgument(text)}, not text`, { hint: 'pass the text of the file' });
  const source = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  let value: JsonValue;
  try {
    value = JSON.parse(source) as JsonValue;
  } catch (cause) {
    const message = (cause as SyntaxError).message;
    const position = /position (\d+)/.exec(message);
    const at = position ? `, ${lineAndColumn(source, Number(position[1]))}` : '';
    const reason = jsonProblem(cause).replace(/ in JSON at position.*| \(line.*/s, '');
    throw new XMoEError(code, `${where} is not valid JSON${at}: ${reason}`, {
      hint: 'keys and strings need double quotes; comments and trailing commas are not JSON',
      cause,
    });
  }
  refuseBadKeys(source, where, code);
  return value;
}

/** Why `JSON.parse` threw `error`, on one line: its message may quote the text, line feeds and control characters included. */
export function jsonProblem(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}

/** `source` is known to be valid JSON, so a scan over its strings and brackets is enough. */
function refuseBadKeys(source: string, where: string, code: ErrorCode): void {
  const open: (Set<string> | undefined)[] = []; // the keys seen so far in each open object; undefined for an array
  let keyExpected = false;
  for (let i = 0; i < source.length; i++) {
    const character = source[i];
    if (character === '"') {
      const end = endOfString(source, i);
      if (keyExpected) {
        const key = JSON.parse(source.slice(i, end + 1)) as string;
        // The place costs a look at all text before it, so only an error pays for it.
        const at = i;
        checkKey(key, open.at(-1)!, () => `${where}, ${lineAndColumn(source, at)}`, code);
      }
      keyExpected = false;
      i = end;
    } else if (character === '{') {
      open.push(new Set());
      keyExpected = true;
    } else if (character === '[') {
      open.push(undefined);
      keyExpected = false;
    } else if (character === '}' || character === ']') {
      open.pop();
      keyExpected = false;
    } else if (character === ',') {
      keyExpected = open.at(-1) !== undefined;
    }
    if (open.length > MAXIMUM_JSON_DEPTH) {
      throw new XMoEError(code, `${where}, ${lineAndColumn(source, i)}: more than ${MAXIMUM_JSON_DEPTH} levels of objects and arrays`, {
        hint: 'no file of this program is nested so deeply: check that it is the right one',
      });
    }
  }
}

function checkKey(key: string, seen: Set<string>, at: () => string, code: ErrorCode): void {
  if (key === PROTOTYPE_KEY) throw new XMoEError(code, `${at()}: the key "${key}" is not allowed`);
  if (seen.has(key)) {
    throw new XMoEError(code, `${at()}: the key "${key}" appears twice in one object`, { hint: 'remove one of the two' });
  }
  seen.add(key);
}

function endOfString(source: string, start: number): number {
  for (let i = start + 1; ; i++) {
    if (source[i] === '\\') i++;
    else if (source[i] === '"') return i;
  }
}

function lineAndColumn(source: string, position: number): string {
  const before = source.slice(0, position);
  return `line ${before.split('\n').length}, column ${position - before.lastIndexOf('\n')}`;
}
