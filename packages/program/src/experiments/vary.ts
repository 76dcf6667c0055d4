// --vary KEY=V1,V2 as data: its values, the grid of several, and what names each run. Resolves no configuration.
import { XMoEError } from '@xmoe/core';
import { parseJson, type JsonObject, type JsonValue } from '@xmoe/files';

/** A key of the configuration, dotted or as its flag, or `router`, and the values that it takes. */
export interface Varied {
  readonly key: string;
  readonly values: readonly JsonValue[];
}

/** One value for each key. */
export type Combination = readonly (readonly [key: string, value: JsonValue])[];

/** More runs than these were not meant. */
const MOST_COMBINATIONS = 1000;

/** `threshold=0.5,0.9`; a JSON list for values with commas of their own. @throws XMoEError `config` */
export function parseVary(text: string): Varied {
  const equals = text.indexOf('=');
  const [key, list] = [text.slice(0, Math.max(0, equals)).trim().replace(/^--/, ''), text.slice(equals + 1).trim()];
  const fail = (problem: string): never => {
    throw new XMoEError('config', `--vary ${text}: ${problem}`, { hint: 'for example --vary moe.router.threshold=0.5,0.9' });
  };
  if (key === '') fail('expected key=value,value');
  if (key === 'seed' || key === 'train.seed') fail('seeds are given by --seeds');
  const values = list.startsWith('[') ? parseJson(list, { where: `--vary ${key}` }) as JsonValue[] : list.split(',').map((value) => readValue(value.trim()));
  if (values.length === 0 || values.some((value) => value === '')) fail('a value is missing');
  const texts = values.map((value) => JSON.stringify(value));
  const twice = texts.find((value, index) => texts.indexOf(value) !== index);
  if (twice !== undefined) fail(`${twice} is named twice`);
  return { key, values };
}

/** JSON where it is JSON, else the text itself. */
function readValue(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}

/** All combinations, the last key the quickest to change; one that is empty without any. @throws XMoEError `config` for a key that is named twice, and for too many */
export function combinationsOf(varied: readonly Varied[]): Combination[] {
  const keys = varied.map(({ key }) => key);
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined) throw new XMoEError('config', `--vary ${twice} is given twice`, { hint: 'name all its values at once' });
  const count = varied.reduce((product, { values }) => product * values.length, 1);
  if (count > MOST_COMBINATIONS) throw new XMoEError('config', `--vary asks for ${count} configurations`, { hint: `at most ${MOST_COMBINATIONS}: vary less at a time` });
  return varied.reduce<Combination[]>((all, { key, values }) => all.flatMap((some) => values.map((value) => [...some, [key, value] as const])), [[]]);
}

/** The combination as what a command line sets. */
export function settingsOf(combination: Combination): { router?: string; set: string[]; flags: JsonObject } {
  const router = combination.find(([key]) => key === 'router');
  const [dotted, flat] = [combination.filter(([key]) => key.includes('.')), combination.filter(([key]) => !key.includes('.') && key !== 'router')];
  return {
    ...(router ? { router: String(router[1]) } : {}),
    set: dotted.map(([key, value]) => `${key}=${JSON.stringify(value)}`),
    flags: Object.fromEntries(flat),
  };
}

/** For directories: `threshold-0.5-experts-8`; `fallback` where nothing varies. */
export function nameOfCombination(combination: Combination, fallback: string): string {
  const parts = combination.map(([key, value]) => `${key.split('.').at(-1)!}-${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return (parts.length === 0 ? fallback : parts.join('-')).toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-').replaceAll(/^[-.]+|[-.]+$/g, '').slice(0, 80) || 'run';
}
