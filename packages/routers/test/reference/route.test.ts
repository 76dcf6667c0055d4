// Routing by name, from data.
import { describe, expect, it } from 'vitest';
import { createHashMap, routeBase, routeHash, routeSwitch, routeThreshold, routeTopK, routeUniform } from '@xmoe/routers/reference';
import { type RouteRequest, route } from '@xmoe/routers/by-name';

const logits = [[2, 1, 0], [0, 0, 3], [1, 5, 1], [9, 9, 9]];
const mask = [true, true, false, true];
const tokenIds = [4, 0, 7, 4];

describe('route', () => {
  it('calls the router of that name', () => {
    expect(route({ router: 'threshold', logits, threshold: 0.8, mask })).toEqual(routeThreshold(logits, { threshold: 0.8, mask }));
    expect(route({ router: 'topk', logits, k: 2, mask })).toEqual(routeTopK(logits, { k: 2, mask }));
    expect(route({ router: 'switch', logits, mask })).toEqual(routeSwitch(logits, { mask }));
    expect(route({ router: 'base', logits, mask })).toEqual(routeBase(logits, { mask }));
    expect(route({ router: 'base', logits, training: true })).toEqual(routeBase(logits, { training: true }));
    expect(route({ router: 'uniform', logits, k: 2 })).toEqual(routeUniform(logits, { k: 2 }));
  });

  it('hash takes N from logits, experts or the map, and makes a map when none is given', () => {
    const map = [0, 1, 0, 1, 0, 1, 0, 1];
    expect(route({ router: 'hash', tokenIds, map, logits, mask })).toEqual(routeHash(tokenIds, { experts: 3, map, mask }));
    expect(route({ router: 'hash', tokenIds, map, experts: 5 }).experts).toBe(5);
    expect(route({ router: 'hash', tokenIds, map }).experts).toBe(2);
    const made = createHashMap({ vocabulary: 100, experts: 3, seed: 6 });
    expect(route({ router: 'hash', tokenIds, logits, seed: 6 })).toEqual(routeHash(tokenIds, { experts: 3, map: made }));
  });

  const bad: [string, unknown, RegExp, string?][] = [
    ['an array', [], /expected an object, got an array/],
    ['null', null, /expected an object, got null/],
    ['an unknown key', { router: 'switch', logits, treshold: 1 }, /unknown key "treshold"/, 'did you mean "threshold"?'],
    ['an unknown router', { router: 'topK2', logits }, /unknown router "topK2"/, 'did you mean "topk"?'],
    ['a router name of Object', { router: 'constructor', logits }, /unknown router "constructor"/],
    ['no router', { logits }, /router is missing/],
    ['no threshold', { router: 'threshold', logits }, /threshold is missing/],
    ['no logits', { router: 'switch' }, /logits is missing/],
    ['no token ids', { router: 'hash', logits }, /tokenIds must be an array/],
    ['too few token ids', { router: 'hash', logits, tokenIds: [1], map: [0, 1] }, /tokenIds has 1 entries, logits has 4 rows/],
    ['no way to know N', { router: 'hash', tokenIds }, /experts is missing/],
    ['an absurd token id', { router: 'hash', tokenIds: [1e15], experts: 2 }, /vocabulary is 1000000000000001/],
    ['a negative token id', { router: 'hash', tokenIds: [-3], experts: 2 }, /tokenIds\[0\] is -3, outside the map/],
  ];
  it.each(bad)('refuses %s', (_, request, message, hint) => {
    expect(() => route(request as RouteRequest)).toThrow(message);
    if (hint !== undefined) expect(() => route(request as RouteRequest)).toThrow(expect.objectContaining({ hint }));
  });
});
