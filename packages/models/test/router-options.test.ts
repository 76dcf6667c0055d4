// What programs accept of routers is the table of routers: each option round-trips from --set, and from its flag where it has one.
import { describe, expect, it } from 'vitest';
import { createRouter, givenByModel, ROUTER_TYPES, routerRow, type RouterConfig } from '@xmoe/routers/by-name';
import { parseAssignment, parseConfig } from '@xmoe/train';
import { activeExpertWeights, expertParameters, EXPERT_FLAG_ALIASES, expertSettings, expertsProblems, expertsSchema, replaceRouter } from '../src/sections/experts.js';
import { trainingShape } from '../src/sections/training.js';

const section = { experts: 8, expertHidden: 16, capacityFactor: 2.4 };
const facts = { vocabularySize: 11, layer: 2, seed: 3 };

/** A value of the option that is not its default, as text of the command line. */
const TEXT = { integer: '3', integers: '[0,7,3]' } as const;
const OPTIONS = ROUTER_TYPES.flatMap((type) => Object.entries(routerRow('the test', 'router', type).options).map(([name, option]) => [type, name, option] as const));
function textOf({ kind, least, names, default: otherwise }: (typeof OPTIONS)[number][2]): string {
  if (kind === 'flag') return String(!otherwise);
  if (kind === 'name') return names.find((name) => name !== otherwise)!;
  return kind === 'real' ? String(Math.max(0, least) + 0.25) : TEXT[kind];
}

const only = (type: string): Record<string, unknown> => ({ type, ...routerRow('the test', 'router', type).whenNamed?.(section) });
const read = (router: Record<string, unknown>) => parseConfig(expertsSchema, { ...section, router }, { where: 'the test' });

describe('each option', () => {
  it.each(OPTIONS)('of %s: %s', (type, name, option) => {
    const [path, value] = parseAssignment(`moe.router.${name}=${textOf(option)}`);
    const moe = read({ ...only(type), [path.at(-1)!]: value });
    expect(moe.router).toEqual({ ...only(type), [name]: value });
    expect(expertsProblems(moe)).toEqual([]);
    const settings = expertSettings(moe, facts);
    expect(settings.router).toMatchObject({ [name]: value }); // what is configured goes before what the model gives
    expect(createRouter(settings.router).name).toBe(type);
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (option.given || name in trainingShape) expect(EXPERT_FLAG_ALIASES).not.toHaveProperty(flag);
    else expect(EXPERT_FLAG_ALIASES[flag]).toBe(`moe.router.${name}`);
  });

  it.each(OPTIONS)('of %s: %s is refused outside of its range', (type, name, { kind, least, most, above }) => {
    const wrap = (value: number): unknown => (kind === 'integers' ? [value] : value);
    const outside = kind === 'flag' ? [1, 'yes'] : kind === 'name' ? [1, 'text'] : [...(above ? [least] : [wrap(least - 1)]), ...(most === Infinity ? [] : [wrap(most + 1)]), 'text'];
    for (const value of outside) expect(() => read({ ...only(type), [name]: value }), String(value)).toThrow(`router.${name}`);
  });
});

describe('the section', () => {
  it('says nothing that its author has not said', () => {
    for (const type of ROUTER_TYPES) expect(read(only(type)).router).toEqual(only(type));
    expect(read({ type: 'switch' })).not.toHaveProperty('trackPositive');
  });

  it('suggests the nearest key, and the nearest router', () => {
    expect(() => read({ type: 'threshold', threshold: 0.9, renormalise: true })).toThrow('did you mean "renormalize"?');
    expect(() => read({ type: 'treshold' })).toThrow(`router.type: expected one of ${ROUTER_TYPES.join(', ')} (did you mean threshold?), got "treshold"`);
    expect(() => read({ type: 'switch', k: 2 })).toThrow('unknown key router.k');
  });

  it('more experts than there are: a number, and an entry of a list', () => {
    expect(expertsProblems(read({ type: 'topk', k: 9 }))[0]!.problem).toBe('moe.router.k 9 exceeds moe.experts 8');
    expect(expertsProblems(read({ type: 'hash', map: [0, 8] }))[0]!.problem).toBe('moe.router.map[1] is 8, there are 8 experts');
    expect(expertsProblems(read({ type: 'threshold', threshold: 1, maxExpertsPerToken: 9 }))).toEqual([]);
  });

  it('only named, a router is whole', () => {
    const base = { moe: { ...section, router: { type: 'base' } } };
    for (const type of ROUTER_TYPES) {
      const { router } = read((replaceRouter(base, type).moe as { router: Record<string, unknown> }).router);
      expect(createRouter(givenByModel(router, facts)).maxChoices(8), type).toBeGreaterThan(0);
    }
    expect(replaceRouter(base, 'uniform').moe).toMatchObject({ router: { type: 'uniform', k: 2 } });
  });

  it('a gate is counted where the router has one', () => {
    const gateOf = (router: RouterConfig): number[] => {
      const moe = read(router as unknown as Record<string, unknown>);
      return [expertParameters(moe, 4) - 8 * (2 * 4 * 16 + 16 + 4), activeExpertWeights(moe, 4) - 2 * 4 * 16 * 2.4];
    };
    expect(gateOf({ type: 'switch' }).map(Math.round)).toEqual([32, 32]);
    expect(gateOf({ type: 'null-experts', k: 4, target: 2 }).map(Math.round)).toEqual([64, 64]); // as many null experts
    for (const router of [{ type: 'hash' }, { type: 'uniform', k: 2, gate: false }] as const) expect(gateOf(router).map(Math.round)).toEqual([0, 0]);
  });

  it('layers count positive hidden units when told to', () => {
    expect(expertSettings(parseConfig(expertsSchema, { ...section, router: { type: 'switch' }, trackPositive: true }, { where: 'x' }), facts).trackPositive).toBe(true);
  });
});
