// --set and flat flags change exactly the named keys of a copy.
import { describe, expect, it } from 'vitest';
import { mergeOverrides, parseAssignment } from '../../src/config/overrides.js';

const config = {
  model: { experts: 8, width: 64, sizes: [1, 2] },
  optimizer: { learningRate: 1e-3 },
  encoder: { layers: 2 },
  decoder: { layers: 3 },
};

describe('mergeOverrides', () => {
  it('sets a path, creates missing objects, and leaves the original alone', () => {
    const before = structuredClone(config);
    const result = mergeOverrides(config, { set: ['model.experts=16', 'train.clip.norm=1.5', 'model.sizes.1=7'] });
    expect(result).toEqual({ ...before, model: { experts: 16, width: 64, sizes: [1, 7] }, train: { clip: { norm: 1.5 } } });
    expect(config).toEqual(before);
  });

  it('reads JSON values and keeps anything else as text', () => {
    const value = (text: string) => parseAssignment(`a=${text}`)[1];
    expect(value('3e-4')).toBe(3e-4);
    expect(value('true')).toBe(true);
    expect(value('null')).toBe(null);
    expect(value('[1,2]')).toEqual([1, 2]);
    expect(value('"7"')).toBe('7');
    expect(value('tfjs:wasm')).toBe('tfjs:wasm');
    expect(value('a=b')).toBe('a=b');
    expect(value('')).toBe('');
    expect(() => value('{"a":1,"a":2}')).toThrow('appears twice');
  });

  it('resolves flat flags by key name and by alias; --set wins', () => {
    const result = mergeOverrides(config, {
      flags: { 'learning-rate': '2e-4', width: 128, 'max-steps': 30, 'encoder.layers': 5, absent: undefined },
      aliases: { 'max-steps': 'train.steps' },
      set: ['model.width=256'],
    });
    expect(result).toMatchObject({
      optimizer: { learningRate: 2e-4 },
      model: { width: 256 },
      train: { steps: 30 },
      encoder: { layers: 5 },
    });
  });

  it('names ambiguous and unknown flags', () => {
    expect(() => mergeOverrides(config, { flags: { layers: 1 } })).toThrow(
      '--layers is ambiguous: encoder.layers or decoder.layers',
    );
    expect(() => mergeOverrides(config, { flags: { 'lerning-rate': 1 } })).toThrow('did you mean --learning-rate?');
  });

  it('refuses malformed assignments and forbidden keys', () => {
    for (const bad of ['a', '=1', 'a..b=1', '.a=1']) expect(() => parseAssignment(bad)).toThrow('expected key.path=value');
    expect(() => mergeOverrides(config, { set: ['__proto__.polluted=1'] })).toThrow('"__proto__" is not allowed');
    expect(() => mergeOverrides(config, { set: ['a.constructor.prototype.polluted=1'] })).toThrow('not allowed');
    expect('polluted' in {}).toBe(false);
    expect(() => mergeOverrides(config, { set: ['model.experts.x=1'] })).toThrow('model.experts is 8, not an object');
    expect(() => mergeOverrides(config, { set: ['model.sizes.2=1'] })).toThrow('not an index of a list of 2');
  });
});
