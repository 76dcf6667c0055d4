// Presets: named JSON configurations, each of which may extend another. Not a validator: parseConfig runs on the result.
import { nearestName, XMoEError } from '@xmoe/core';
import { isPlainObject, type JsonObject } from '@xmoe/files';
import { mergeJson } from './merge-json.js';

export type Presets = Readonly<Record<string, JsonObject>>;

/** The names of all presets, sorted. */
export function listPresets(presets: Presets): string[] {
  return Object.keys(presets).sort();
}

/**
 * The preset `name`, merged over what it `extends` (objects are merged key by key, everything else is replaced). The key
 * `extends` itself is not part of the result.
 * @throws XMoEError `config` for an unknown name (with the nearest), a preset that is not a JSON object, or a cycle
 */
export function loadPreset(presets: Presets, name: string): JsonObject {
  return resolve(presets, name, []);
}

function resolve(presets: Presets, name: string, chain: string[]): JsonObject {
  if (!Object.hasOwn(presets, name)) {
    const known = listPresets(presets);
    const near = nearestName(name, known);
    const from = chain.length > 0 ? `preset ${chain.at(-1)} extends the unknown preset "${name}"` : `unknown preset "${name}"`;
    throw new XMoEError('config', `${from}${near ? `, did you mean "${near}"?` : ''}`, {
      hint: `known presets: ${known.join(', ') || 'none'}`,
    });
  }
  if (chain.includes(name)) {
    throw new XMoEError('config', `presets extend each other in a circle: ${[...chain, name].join(' → ')}`);
  }
  const preset = presets[name];
  if (!isPlainObject(preset)) throw new XMoEError('config', `preset ${name} is not a JSON object`);
  const { extends: parent, ...own } = preset as JsonObject;
  if (parent === undefined) return structuredClone(own);
  if (typeof parent !== 'string') {
    throw new XMoEError('config', `preset ${name}: extends must be the name of a preset, got ${JSON.stringify(parent)}`);
  }
  return mergeJson(resolve(presets, parent, [...chain, name]), own);
}
