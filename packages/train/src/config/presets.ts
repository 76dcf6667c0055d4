// Presets: named JSON configurations, each of which may extend another. Not a validator: parseConfig runs on the result.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { nearestName, XMoEError } from '@xmoe/core';
import { isPlainObject, parseJson, type JsonObject } from '@xmoe/files';
import { readConfigText } from './config-text.js';
import { mergeJson } from './merge-json.js';

/** Presets by name, or the directory that holds them as `NAME.json`. */
export type PresetSource = string | Readonly<Record<string, JsonObject>>;

/** The names of all presets, sorted. */
export async function listPresets(source: PresetSource): Promise<string[]> {
  if (typeof source !== 'string') return Object.keys(source).sort();
  const files = await readdir(source).catch((cause: unknown) => {
    throw new XMoEError('config', `cannot read the preset directory ${source}`, { cause });
  });
  return files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length)).sort();
}

/**
 * The preset `name`, merged over what it `extends` (objects are merged key by key, everything else is replaced). The key
 * `extends` itself is not part of the result.
 * @throws XMoEError `config` for an unknown name (with the nearest), a file that is not a JSON object, or a cycle
 */
export async function loadPreset(source: PresetSource, name: string): Promise<JsonObject> {
  return resolve(source, name, await listPresets(source), []);
}

async function resolve(source: PresetSource, name: string, known: string[], chain: string[]): Promise<JsonObject> {
  // Only listed names are ever joined to the directory, so a name cannot lead out of it.
  if (!known.includes(name)) {
    const near = nearestName(name, known);
    const from = chain.length > 0 ? `preset ${chain.at(-1)} extends the unknown preset "${name}"` : `unknown preset "${name}"`;
    throw new XMoEError('config', `${from}${near ? `, did you mean "${near}"?` : ''}`, {
      hint: `known presets: ${known.join(', ') || 'none'}`,
    });
  }
  if (chain.includes(name)) {
    throw new XMoEError('config', `presets extend each other in a circle: ${[...chain, name].join(' → ')}`);
  }
  const { extends: parent, ...own } = await readPreset(source, name);
  if (parent === undefined) return structuredClone(own);
  if (typeof parent !== 'string') {
    throw new XMoEError('config', `preset ${name}: extends must be the name of a preset, got ${JSON.stringify(parent)}`);
  }
  return mergeJson(await resolve(source, parent, known, [...chain, name]), own);
}

async function readPreset(source: PresetSource, name: string): Promise<JsonObject> {
  const where = typeof source === 'string' ? join(source, `${name}.json`) : `preset ${name}`;
  const value = typeof source === 'string' ? parseJson(await readConfigText(where), { where }) : source[name];
  if (!isPlainObject(value)) throw new XMoEError('config', `${where} is not a JSON object`);
  return value as JsonObject;
}
