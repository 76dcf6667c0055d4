// Properties of the threshold router (Algorithm 1).
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { type Routing, countToThreshold, routeSwitch, routeThreshold, routeTopK, softmaxGate } from '@xmoe/routers/reference';
import { problems } from './arbitraries.js';

const rowsOf = (routing: Routing): { experts: number[]; weights: number[] }[] =>
  Array.from(routing.counts, (count, token) => ({
    experts: [...routing.expertIds.subarray(token * routing.maxChoices, token * routing.maxChoices + count)],
    weights: [...routing.weights.subarray(token * routing.maxChoices, token * routing.maxChoices + count)],
  }));
const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);

describe('threshold router', () => {
  it('selects a mass of at least t with as few experts as possible, best first', () => {
    fc.assert(
      fc.property(problems(), fc.double({ min: 0.001, max: 0.999, noNaN: true }), ({ logits, mask, N }, threshold) => {
        const routing = routeThreshold(logits, { threshold, mask });
        rowsOf(routing).forEach(({ experts, weights }, token) => {
          if (!mask[token]) {
            expect(experts).toEqual([]);
            return;
          }
          expect(sum(weights)).toBeGreaterThanOrEqual(threshold - 1.1e-6);
          expect(sum(weights)).toBeLessThanOrEqual(1 + 1e-6);
          expect(weights.length === 1 || sum(weights.slice(0, -1)) < threshold).toBe(true);
          expect(weights).toEqual(experts.map((expert) => routing.probabilities[token * N + expert]));
          for (let rank = 1; rank < weights.length; rank++) {
            const ordered = weights[rank] < weights[rank - 1] || (weights[rank] === weights[rank - 1] && experts[rank] > experts[rank - 1]);
            expect(ordered).toBe(true);
          }
        });
        const past = routing.expertIds.filter((_, index) => index % N >= routing.counts[Math.floor(index / N)]);
        expect(past.every((expert) => expert === -1)).toBe(true);
      }),
    );
  });

  it('t ≤ 0 is top-1 and t ≥ 1 is all N, whatever float sums do', () => {
    fc.assert(
      fc.property(problems(), fc.constantFrom(0, -1, -1e9), fc.constantFrom(1, 1.5, 1e9), ({ logits, N }, low, high) => {
        expect([...routeThreshold(logits, { threshold: low }).counts]).toEqual(logits.map(() => 1));
        expect(rowsOf(routeThreshold(logits, { threshold: low }))).toEqual(rowsOf(routeSwitch(logits)));
        expect([...routeThreshold(logits, { threshold: high }).counts]).toEqual(logits.map(() => N));
        expect(routeThreshold(logits, { threshold: high }).expertIds).toEqual(routeTopK(logits, { k: N }).expertIds);
      }),
    );
    // One expert already has p = 1 in float32.
    expect([...routeThreshold([[300, 0, 0]], { threshold: 1 }).counts]).toEqual([3]);
    expect([...routeThreshold([[300, 0, 0]], { threshold: 0.999999 }).counts]).toEqual([1]);
  });

  it('equal p and threshold m/N select exactly m experts, for every N to 1,024 and every m', () => {
    const wrong: string[] = [];
    for (let N = 1; N <= 1024; N++) {
      const { probabilities } = softmaxGate([new Array<number>(N).fill(0.5)]);
      for (let m = 1; m <= N; m++) {
        const count = countToThreshold(probabilities, m / N);
        if (count !== m) wrong.push(`N = ${N}, t = ${m}/${N}: ${count}`);
      }
    }
    // More experts than that lose more by rounding.
    for (const N of [2048, 4095, 10000]) {
      const { probabilities } = softmaxGate([new Array<number>(N).fill(0.5)]);
      for (let m = 1; m <= N; m += 7) if (countToThreshold(probabilities, m / N) !== m) wrong.push(`N = ${N}, t = ${m}/${N}`);
    }
    expect(wrong).toEqual([]);
    const routing = routeThreshold([new Array<number>(225).fill(0.5)], { threshold: 0.8 });
    expect([routing.counts[0], routing.expertIds[179], routing.expertIds[180]]).toEqual([180, 179, -1]); // the lowest ids first
  });

  it('equal p select ⌈t·N⌉ experts for any t', () => {
    const property = fc.property(fc.integer({ min: 1, max: 128 }), fc.double({ min: 0.01, max: 1, noNaN: true }), (N, threshold) => {
      const exact = threshold * N;
      if (Math.abs(exact - Math.round(exact)) < 1e-3) return; // beside an integer: the test above
      const routing = routeThreshold([new Array<number>(N).fill(-3)], { threshold });
      expect(routing.counts[0]).toBe(Math.ceil(exact));
    });
    fc.assert(property, { numRuns: 500 });
  });

  it.each([['text', '0.9'], ['null', null], ['nothing', undefined], ['NaN', Number.NaN]])('refuses %s for t', (_, threshold) => {
    expect(() => routeThreshold([[1, 2]], { threshold: threshold as number })).toThrow(/threshold is .*not a finite number/);
  });
});
