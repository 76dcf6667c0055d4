// Unknown keys are refused at every depth with the nearest name; every error names the key path and the value.
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseConfig } from '../../src/config/parse-config.js';

const schema = z.object({
  model: z.object({
    layers: z.number().int().positive().default(2),
    experts: z.number().int(),
    layerSizes: z.array(z.object({ width: z.number() })).optional(),
  }),
  router: z
    .discriminatedUnion('kind', [
      z.object({ kind: z.literal('threshold'), threshold: z.number() }),
      z.object({ kind: z.literal('topk'), k: z.number() }),
    ])
    .optional(),
  precision: z.enum(['float32', 'float16']).default('float32'),
  extra: z.record(z.string(), z.object({ path: z.string() })).optional(),
});
const parse = (value: unknown) => parseConfig(schema, value, { where: 'tiny.json' });
const message = (value: unknown): string => {
  try {
    parse(value);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('accepted');
};

describe('parseConfig', () => {
  it('fills defaults in', () => {
    expect(parse({ model: { experts: 4 } })).toEqual({ model: { layers: 2, experts: 4 }, precision: 'float32' });
  });

  it('refuses unknown keys at every depth and suggests the nearest', () => {
    expect(message({ model: { experts: 4, layrs: 3 } })).toBe(
      'tiny.json: unknown key model.layrs = 3, did you mean "layers"?',
    );
    expect(message({ modle: {}, model: { experts: 1 } })).toContain('unknown key modle = {}, did you mean "model"?');
    expect(message({ model: { experts: 4, layerSizes: [{ width: 1 }, { width: 2, widht: 3 }] } })).toContain(
      'unknown key model.layerSizes[1].widht = 3, did you mean "width"?',
    );
    expect(message({ model: { experts: 1 }, extra: { a: { path: 'x', pth: 'y' } } })).toContain('extra.a.pth = "y"');
  });

  it('judges a union by the option whose discriminator matches', () => {
    const model = { experts: 1 };
    expect(parse({ model, router: { kind: 'topk', k: 2 } })).toMatchObject({ router: { k: 2 } });
    expect(message({ model, router: { kind: 'topk', k: 2, threshold: 0.9 } })).toContain('unknown key router.threshold');
    expect(message({ model, router: { kind: 'topk', k: 'two' } })).toContain('router.k: expected number, got "two"');
  });

  it('names the path and the value of each wrong value, all in one line', () => {
    const text = message({ model: { experts: 'four', layers: -1 }, precision: 'flot16' });
    expect(text).toContain('model.experts: expected number, got "four"');
    expect(text).toContain('model.layers: too small: expected number to be >0, got -1');
    expect(text).toContain('precision: expected one of "float32", "float16", got "flot16", did you mean "float16"?');
    expect(text).not.toContain('\n');
  });

  it('names a missing key, a wrong root and a NaN', () => {
    expect(message({ model: {} })).toContain('model.experts is missing (invalid input: expected number)');
    expect(message([1])).toContain('(the whole value): expected object, got [1]');
    expect(message({ model: { experts: Number.NaN } })).toContain('model.experts: expected number, got NaN');
  });

  it('reports the unknown key of a strict object once', () => {
    const strict = z.strictObject({ steps: z.number() });
    expect(() => parseConfig(strict, { steps: 1, step: 2 }, { where: 'x' })).toThrow(
      /^x: unknown key step = 2, did you mean "steps"\?$/,
    );
  });
});
