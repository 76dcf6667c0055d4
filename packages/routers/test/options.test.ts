// The table of routers: what derives from a row takes every option that the row names, and refuses what is outside of its range.
import { describe, expect, it } from 'vitest';
import { createRouter, givenByModel, type Option, ROUTE_KEYS, ROUTER_TYPES, type RouterConfig, routerRow } from '@xmoe/routers/by-name';

/** A good value of an option that is not its default, and some that are outside. */
function valuesOf({ kind, least, most, above, names }: Option): { good: unknown; bad: unknown[] } {
  const ends = [...(Number.isFinite(least) ? [above ? least : least - 1] : []), ...(Number.isFinite(most) ? [most + 1] : [])];
  if (kind === 'name') return { good: names.at(-1), bad: [1, 'other', null] };
  if (kind === 'flag') return { good: true, bad: [1, 'true', null] };
  if (kind === 'integers') return { good: [least, least + 1], bad: [least, 'no list', [0.5], ...ends.map((end) => [end])] };
  return { good: kind === 'integer' ? Math.max(least, 1) : Math.min(most, least + 0.25), bad: ['1', null, NaN, Infinity, [], ...(kind === 'integer' ? [least + 0.5] : []), ...ends] };
}

/** A configuration with all required options, and what a model would give. */
function least(type: RouterConfig['type']): Record<string, unknown> {
  const { options } = routerRow('the test', 'router', type);
  const needed = Object.entries(options).filter(([name, { presence }]) => presence === 'required' || name === 'vocabularySize');
  return { type, ...Object.fromEntries(needed.map(([name, option]) => [name, valuesOf(option).good])) };
}

const make = (config: Record<string, unknown>) => () => createRouter(config as unknown as RouterConfig);
const each = ROUTER_TYPES.flatMap((type) => Object.entries(routerRow('the test', 'router', type).options).map(([name, option]) => [type, name, option] as const));

describe('each option', () => {
  it.each(each)('of %s: %s', (type, name, option) => {
    const { good, bad } = valuesOf(option);
    expect(make({ ...least(type), [name]: good })().name).toBe(type);
    for (const value of bad) expect(make({ ...least(type), [name]: value }), JSON.stringify(value)).toThrow(new RegExp(`createRouter: (unknown )?${name}`));
    const { [name]: _, ...without } = least(type);
    if (option.presence === 'required') expect(make(without)).toThrow(`${name} is missing`);
    if (option.presence === 'defaulted') expect(() => option.read('the test', name, option.default)).not.toThrow();
    expect(ROUTE_KEYS).toContain(name);
  });
});

describe('each router', () => {
  it.each(ROUTER_TYPES)('%s is made from its required options, by its name, and says the nearest of a wrong key', (type) => {
    const config = least(type);
    expect(make(config)().name).toBe(type);
    for (const name of Object.keys(routerRow('the test', 'router', type).options)) {
      expect(make({ ...config, [`${name}s`]: 1 })).toThrow(expect.objectContaining({ code: 'config', hint: `did you mean ${JSON.stringify(name)}?` }));
    }
  });

  it.each(ROUTER_TYPES)('%s: what is filled in when it is only named makes it whole', (type) => {
    const filled = routerRow('the test', 'router', type).whenNamed?.({ capacityFactor: 2.6 });
    const config = givenByModel({ type, ...filled } as RouterConfig, { vocabularySize: 5, layer: 3, seed: 1 });
    expect(createRouter(config).name).toBe(type);
    expect(routerRow('the test', 'router', type).usesGate?.(config) ?? true).toBe(createRouter(config).usesGate);
  });

  it('a model gives only what a router wants and its configuration does not set', () => {
    const facts = { vocabularySize: 9, layer: 3, seed: 1 };
    expect(givenByModel({ type: 'switch' }, facts)).toEqual({ type: 'switch' });
    expect(givenByModel({ type: 'hash', seed: 7 }, facts)).toEqual({ type: 'hash', seed: 7, layer: 3, vocabularySize: 9 });
    expect(givenByModel({ type: 'hash' }, { vocabularySize: undefined })).toEqual({ type: 'hash' });
    expect(() => givenByModel({ type: 'hsh' } as never, facts)).toThrow(expect.objectContaining({ hint: 'did you mean "hash"?' }));
  });
});
