// Presets extend each other; unknown names and circles are named; a name is never one of an object's own.
import { describe, expect, it } from 'vitest';
import { listPresets, loadPreset } from '../../src/config/presets.js';
import type { JsonObject } from '@xmoe/files';
import { mergeJson } from '../../src/config/merge-json.js';

const presets = {
  base: { model: { width: 64, sizes: [1, 2] }, steps: 10 },
  tiny: { extends: 'base', model: { sizes: [3] }, name: 'tiny' },
  list: [] as unknown as JsonObject,
};

describe('loadPreset', () => {
  it('replaces an object of another type, whose keys mean nothing to the new one', () => {
    const base = { router: { type: 'threshold', threshold: 0.9 }, data: { type: 'bpe', size: 512 } };
    expect(mergeJson(base, { router: { type: 'topk', k: 4 }, data: { size: 64 } })).toEqual({ router: { type: 'topk', k: 4 }, data: { type: 'bpe', size: 64 } });
    expect(mergeJson(base, { router: { type: 'threshold', renormalize: true } }).router).toEqual({ type: 'threshold', threshold: 0.9, renormalize: true });
  });

  it('merges a preset over what it extends', () => {
    expect(loadPreset(presets, 'tiny')).toEqual({ model: { width: 64, sizes: [3] }, steps: 10, name: 'tiny' });
    expect(loadPreset(presets, 'base')).not.toBe(presets.base);
    expect(listPresets(presets)).toEqual(['base', 'list', 'tiny']);
  });

  it('names unknown presets, unknown parents, circles and what is no preset', () => {
    expect(() => loadPreset(presets, 'tini')).toThrow('unknown preset "tini", did you mean "tiny"?');
    expect(() => loadPreset(presets, '../base')).toThrow('unknown preset "../base"');
    expect(() => loadPreset(presets, 'toString')).toThrow('unknown preset "toString"');
    expect(() => loadPreset({ a: { extends: 'bb' }, b: {} }, 'a')).toThrow('preset a extends the unknown preset "bb"');
    expect(() => loadPreset({ a: { extends: 'b' }, b: { extends: 'a' } }, 'a')).toThrow('a → b → a');
    expect(() => loadPreset({ a: { extends: 1 } }, 'a')).toThrow('extends must be the name of a preset, got 1');
    expect(() => loadPreset(presets, 'list')).toThrow('is not a JSON object');
  });

  it('never merges into the prototype', () => {
    expect(() => mergeJson({}, JSON.parse('{"__proto__":{"polluted":1}}'))).toThrow('not allowed');
    expect('polluted' in {}).toBe(false);
  });
});
