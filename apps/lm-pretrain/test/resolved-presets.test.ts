// Every preset resolves to the configuration that is written down here. UPDATE_PRESETS=1 rewrites it, for a change that is meant.
import { resolvedPresets, writtenDown } from '@xmoe/testing/programs';
import { expect, it } from 'vitest';
import { configs } from '../src/config.js';

const resolved = await resolvedPresets(configs);
const text = `{\n${[...resolved].map(([name, json]) => `${JSON.stringify(name)}: ${json}`).join(',\n')}\n}\n`;
const written = JSON.parse(writtenDown(new URL('resolved-presets.json', import.meta.url), text, 'UPDATE_PRESETS')) as Record<string, unknown>;

it('are all there', () => expect([...resolved.keys()]).toEqual(Object.keys(written)));

// As text: the order of the keys, too, is what config.json of a run shows.
it.each(Object.keys(written))('%s', (name) => expect(resolved.get(name)).toBe(JSON.stringify(written[name])));
