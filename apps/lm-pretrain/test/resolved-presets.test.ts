// Every preset resolves to the configuration that is written down here. UPDATE_PRESETS=1 rewrites it, for a change that is meant.
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { configs } from '../src/config.js';

const file = new URL('resolved-presets.json', import.meta.url);
const names = (await configs.presets()).map(([name]) => name);
const resolved = new Map(await Promise.all(names.map(async (preset) => [preset, JSON.stringify(await configs.resolve({ preset }))] as const)));
if (process.env.UPDATE_PRESETS) writeFileSync(file, `{\n${names.map((name) => `${JSON.stringify(name)}: ${resolved.get(name)!}`).join(',\n')}\n}\n`);
const written = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;

it('are all there', () => expect(names).toEqual(Object.keys(written)));

// As text: the order of the keys, too, is what config.json of a run shows.
it.each(Object.keys(written))('%s', (name) => expect(resolved.get(name)).toBe(JSON.stringify(written[name])));
