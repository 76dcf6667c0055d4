// Presets extend each other; unknown names and circles are named; a name never leads out of the directory.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listPresets, loadPreset } from '../../src/config/presets.js';
import { mergeJson } from '../../src/config/merge-json.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'xmoe-presets-'));
  await writeFile(join(directory, 'base.json'), '{"model":{"width":64,"sizes":[1,2]},"steps":10}');
  await writeFile(join(directory, 'tiny.json'), '{"extends":"base","model":{"sizes":[3]},"name":"tiny"}');
  await writeFile(join(directory, 'broken.json'), '{"a":1,"a":2}');
  await writeFile(join(directory, 'list.json'), '[]');
});
afterAll(() => rm(directory, { recursive: true }));

describe('loadPreset', () => {
  it('merges a preset over what it extends, from a directory or a map', async () => {
    const expected = { model: { width: 64, sizes: [3] }, steps: 10, name: 'tiny' };
    expect(await loadPreset(directory, 'tiny')).toEqual(expected);
    const map = { base: { model: { width: 64, sizes: [1, 2] }, steps: 10 }, tiny: { extends: 'base', model: { sizes: [3] }, name: 'tiny' } };
    expect(await loadPreset(map, 'tiny')).toEqual(expected);
    expect(await listPresets(directory)).toEqual(['base', 'broken', 'list', 'tiny']);
  });

  it('names unknown presets, unknown parents, circles and bad files', async () => {
    await expect(loadPreset(directory, 'tini')).rejects.toThrow('unknown preset "tini", did you mean "tiny"?');
    await expect(loadPreset(directory, '../base')).rejects.toThrow('unknown preset "../base"');
    await expect(loadPreset({ a: { extends: 'bb' }, b: {} }, 'a')).rejects.toThrow('preset a extends the unknown preset "bb"');
    await expect(loadPreset({ a: { extends: 'b' }, b: { extends: 'a' } }, 'a')).rejects.toThrow('a → b → a');
    await expect(loadPreset({ a: { extends: 1 } }, 'a')).rejects.toThrow('extends must be the name of a preset, got 1');
    await expect(loadPreset(directory, 'broken')).rejects.toThrow('broken.json, line 1, column 8: the key "a" appears twice');
    await expect(loadPreset(directory, 'list')).rejects.toThrow('is not a JSON object');
  });

  it('never merges into the prototype', () => {
    expect(() => mergeJson({}, JSON.parse('{"__proto__":{"polluted":1}}'))).toThrow('not allowed');
    expect('polluted' in {}).toBe(false);
  });
});
