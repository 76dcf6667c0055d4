// The hash router and its maps.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { createHashMap, routeHash, routerStatistics } from '@xmoe/routers/reference';

describe('hash map', () => {
  it('depends on seed and layer, stays in range, and extends when the vocabulary grows', () => {
    const map = createHashMap({ vocabulary: 1000, experts: 7, seed: 3 });
    expect(createHashMap({ vocabulary: 1000, experts: 7, seed: 3 })).toEqual(map);
    expect(createHashMap({ vocabulary: 1000, experts: 7, seed: 4 })).not.toEqual(map);
    expect(createHashMap({ vocabulary: 1000, experts: 7, seed: 3, layer: 1 })).not.toEqual(map);
    expect(createHashMap({ vocabulary: 1500, experts: 7, seed: 3 }).subarray(0, 1000)).toEqual(map);
    const load = routerStatistics(routeHash([...map.keys()], { experts: 7, map })).wantedPerExpert;
    expect(Math.min(...load)).toBeGreaterThan(90); // 143 expected, standard deviation 11
    expect(Math.max(...load)).toBeLessThan(200);
  });

  it('a balanced map gives every expert ⌊V/N⌋ or ⌈V/N⌉ ids', () => {
    const sizes = fc.record({ vocabulary: fc.nat(200), experts: fc.integer({ min: 1, max: 40 }), seed: fc.nat() });
    const property = fc.property(sizes, (size) => {
      const load = new Array<number>(size.experts).fill(0);
      for (const expert of createHashMap({ ...size, balanced: true })) load[expert]++;
      expect(Math.min(...load)).toBe(Math.floor(size.vocabulary / size.experts));
      expect(Math.max(...load)).toBe(Math.ceil(size.vocabulary / size.experts));
    });
    fc.assert(property);
    expect(createHashMap({ vocabulary: 64, experts: 8, seed: 1, balanced: true })).not.toEqual(
      createHashMap({ vocabulary: 64, experts: 8, seed: 2, balanced: true }),
    );
  });
});

describe('hash router', () => {
  it('follows the map with weight 1; padding ids are not looked up', () => {
    const routing = routeHash([2, 0, 99], { experts: 3, map: [1, 0, 2], mask: [1, 1, 0] });
    expect([...routing.expertIds]).toEqual([2, 1, -1]);
    expect([...routing.weights]).toEqual([1, 1, 0]);
    expect([...routing.counts]).toEqual([1, 1, 0]);
    expect([...routing.probabilities]).toEqual([0, 0, 1, 0, 1, 0, 0, 0, 0]);
    expect(routing).toMatchObject({ balanceLoss: 0, zLoss: 0, maxChoices: 1, weightSource: 'constant' });
  });

  it('names a token id outside the map and a map entry outside the experts', () => {
    const map = [0, 5];
    expect(() => routeHash([0, 2], { experts: 3, map })).toThrow(/tokenIds\[1\] is 2, outside the map of 2 ids/);
    expect(() => routeHash([-1], { experts: 3, map })).toThrow(/tokenIds\[0\] is -1, outside/);
    expect(() => routeHash([0.5], { experts: 3, map })).toThrow(/tokenIds\[0\] is 0.5, outside/);
    expect(() => routeHash([1], { experts: 3, map })).toThrow(/map\[1\] is 5, not an integer from 0 to 2/);
    expect(() => routeHash('01' as unknown as number[], { experts: 3, map })).toThrow(/tokenIds is "01", not an array/);
  });
});
