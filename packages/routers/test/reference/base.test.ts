// The BASE router and its auction: balance, termination, distance from the optimum.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { hostNormal, randomKey } from '@xmoe/core';
import { assignmentScore, auctionAssign, optimalAssign, routeBase } from '@xmoe/routers/reference';
import { problems } from './arbitraries.js';

const loadOf = (assigned: ArrayLike<number>, N: number): number[] => {
  const load = new Array<number>(N).fill(0);
  for (const expert of Array.from(assigned)) if (expert >= 0) load[expert]++;
  return load;
};

describe('auction', () => {
  it('is balanced and within T·epsilon of the optimum, whatever T, N, ties and mask', () => {
    const epsilons = fc.constantFrom(undefined, 5, 0.5, 0.01, 1e-6);
    const property = fc.property(problems({ T: 20, N: 7 }), epsilons, ({ T, N, logits, mask }, epsilon) => {
      const flat = logits.flat();
      const assigned = auctionAssign(flat, T, N, { mask, epsilon });
      const real = mask.filter(Boolean).length;
      expect(Array.from(assigned, (expert) => expert >= 0)).toEqual(mask);
      expect(Math.max(...loadOf(assigned, N))).toBe(Math.ceil(real / N));
      expect(Math.min(...loadOf(assigned, N))).toBe(Math.floor(real / N));
      const optimum = assignmentScore(flat, N, optimalAssign(flat, T, N, { mask }));
      const score = assignmentScore(flat, N, assigned);
      const bound = epsilon ?? (Math.max(...flat) - Math.min(...flat)) * 1e-5;
      expect(score).toBeLessThanOrEqual(optimum + 1e-6);
      expect(score).toBeGreaterThanOrEqual(optimum - real * bound - 1e-6);
    });
    fc.assert(property, { numRuns: 400 });
  });

  it('is optimal for integer logits when T·epsilon < 1', () => {
    const sizes = fc.record({ T: fc.integer({ min: 2, max: 40 }), N: fc.integer({ min: 2, max: 8 }), seed: fc.nat(), most: fc.integer({ min: 1, max: 6 }) });
    const property = fc.property(sizes, ({ T, N, seed, most }) => {
      const logits = hostNormal(randomKey(seed), T * N).map((value) => Math.round(value * most));
      const score = assignmentScore(logits, N, auctionAssign(logits, T, N, { epsilon: 0.999 / T }));
      expect(score).toBe(assignmentScore(logits, N, optimalAssign(logits, T, N)));
    });
    fc.assert(property, { numRuns: 400 });
  });

  it('the exact solver beats every other balanced assignment of small problems', () => {
    const best = (flat: number[], T: number, N: number): number => {
      const ceil = Math.ceil(T / N);
      const floor = Math.floor(T / N);
      const search = (token: number, load: number[]): number => {
        if (token === T) return Math.min(...load) >= floor ? 0 : -Infinity;
        const options = load.map((count, expert) =>
          count === ceil ? -Infinity : flat[token * N + expert] + search(token + 1, load.with(expert, count + 1)),
        );
        return Math.max(...options);
      };
      return search(0, new Array<number>(N).fill(0));
    };
    const property = fc.property(problems({ T: 6, N: 4 }), ({ T, N, logits }) => {
      const flat = logits.flat();
      expect(assignmentScore(flat, N, optimalAssign(flat, T, N))).toBeCloseTo(best(flat, T, N), 6);
    });
    fc.assert(property);
  });

  it.each([
    ['equal logits', 10, 4, () => 0.25],
    ['equal logits, N divides T', 12, 4, () => -7],
    ['one expert wanted by all', 30, 4, (index: number) => (index % 4 === 2 ? 50 : 0)],
    ['fewer tokens than experts', 3, 8, (index: number) => index % 5],
    ['one expert', 5, 1, (index: number) => index],
    ['one token', 1, 6, (index: number) => -index],
    ['no token', 0, 4, () => 0],
    ['the largest doubles', 9, 4, (index: number) => (index % 2 ? 1.7e308 : -1.7e308)],
    ['the smallest doubles', 9, 4, (index: number) => (index % 3) * 5e-324],
    ['a small difference on a large offset', 9, 4, (index: number) => 1e15 + (index % 3)],
  ])('terminates and balances: %s', (_, T, N, logit) => {
    const flat = Float64Array.from({ length: T * N }, (_unused, index) => logit(index));
    for (const epsilon of [undefined, 1e-300, 1e300]) {
      const load = loadOf(auctionAssign(flat, T, N, { epsilon }), N);
      expect(Math.max(...load)).toBe(Math.ceil(T / N));
      expect(Math.min(...load)).toBe(Math.floor(T / N));
    }
  });

  it('assigns 4096 tokens to 64 experts', () => {
    const logits = hostNormal(randomKey(11), 4096 * 64);
    const assigned = auctionAssign(logits, 4096, 64);
    expect(new Set(loadOf(assigned, 64))).toEqual(new Set([64]));
    // No swap of two tokens gains more than 2·epsilon: a necessary condition of the bound, cheap at this size.
    const range = logits.reduce((most, value) => Math.max(most, value), -Infinity) - logits.reduce((least, value) => Math.min(least, value), Infinity);
    const at = (token: number, of: number): number => logits[token * 64 + assigned[of]];
    let worst = 0;
    for (let a = 0; a < 4096; a += 3) {
      for (let b = a + 1; b < 4096; b += 5) worst = Math.max(worst, at(a, b) + at(b, a) - at(a, a) - at(b, b));
    }
    expect(worst).toBeLessThanOrEqual(2e-5 * range + 1e-9);
  });

  it('refuses logits that are not finite and a step that is not positive', () => {
    expect(() => auctionAssign([0, 1, Number.NaN, 1], 2, 2)).toThrow(/logits\[1\]\[0\] is NaN/);
    expect(() => auctionAssign([0, 1, 2], 2, 2)).toThrow(/logits are an array of 3, not 4 numbers/);
    for (const epsilon of [0, -1, Number.NaN]) {
      expect(() => auctionAssign([0, 1, 1, 1], 2, 2, { epsilon })).toThrow(/epsilon is .*not a positive number/);
    }
  });
});

describe('BASE router', () => {
  it('training balances real tokens, evaluation takes the argmax; weights are sigmoid(logit)', () => {
    fc.assert(
      fc.property(problems(), fc.boolean(), ({ logits, mask, N }, training) => {
        const routing = routeBase(logits, { training, mask });
        const real = mask.filter(Boolean).length;
        if (training) expect(Math.max(...loadOf(routing.expertIds, N))).toBe(Math.ceil(real / N));
        routing.expertIds.forEach((expert, token) => {
          expect(routing.counts[token]).toBe(mask[token] ? 1 : 0);
          if (!mask[token]) return;
          const row = logits[token].map(Math.fround);
          if (!training) expect(expert).toBe(row.indexOf(Math.max(...row)));
          expect(routing.weights[token]).toBeCloseTo(1 / (1 + Math.exp(-row[expert])), 6);
        });
        expect(routing.balanceLoss).toBe(0);
      }),
    );
  });

  it('refuses a training flag that is not a boolean', () => {
    expect(() => routeBase([[1]], { training: 'yes' as unknown as boolean })).toThrow(/training is "yes"/);
  });
});
