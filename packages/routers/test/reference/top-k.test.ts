// The top-k, Switch and forced-uniform routers.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { randomKey } from '@xmoe/core';
import { gumbelNoise, routeTopK, routeUniform, routerStatistics } from '@xmoe/routers/reference';
import { problems } from './arbitraries.js';

describe('top-k router', () => {
  it('takes the k largest p, ties by the lowest expert, and gives padding nothing', () => {
    fc.assert(
      fc.property(problems(), fc.nat(), ({ logits, mask, N }, pick) => {
        const k = (pick % N) + 1;
        const routing = routeTopK(logits, { k, mask });
        logits.forEach((_, token) => {
          const p = [...routing.probabilities.subarray(token * N, token * N + N)];
          const best = p.map((value, expert) => ({ value, expert })).toSorted((a, b) => b.value - a.value || a.expert - b.expert);
          const expected = mask[token] ? best.slice(0, k).map(({ expert }) => expert) : new Array(k).fill(-1);
          expect([...routing.expertIds.subarray(token * k, token * k + k)]).toEqual(expected);
          expect(routing.counts[token]).toBe(mask[token] ? k : 0);
        });
      }),
    );
  });

  it('refuses k beyond N, below 1 or not an integer', () => {
    for (const k of [0, 4, 1.5, Number.NaN, '2', undefined]) {
      expect(() => routeTopK([[1, 2, 3]], { k: k as number })).toThrow(/k is .*not an integer from 1 to 3/);
    }
  });

  it('noise keeps rank 1, draws the others by softmax odds, and depends on the key alone', () => {
    const rows = 4000;
    const logits = Array.from({ length: rows }, () => [3, Math.log(3), 0, 0]);
    const routing = routeTopK(logits, { k: 2, noiseKey: randomKey(7) });
    expect(routeTopK(logits, { k: 2, noiseKey: randomKey(7) })).toEqual(routing);
    expect(routeTopK(logits, { k: 2, noiseKey: randomKey(8) })).not.toEqual(routing);
    const second = [0, 0, 0, 0];
    routing.expertIds.forEach((expert, index) => {
      if (index % 2 === 0) expect(expert).toBe(0);
      else second[expert]++;
    });
    // Gumbel-max: among the rest, expert 1 has odds 3 : 1 : 1. Five standard deviations are 0.039.
    expect(Math.abs(second[1] / rows - 0.6)).toBeLessThan(0.039);
    expect(Math.abs(second[2] / rows - 0.2)).toBeLessThan(0.032);
    expect(routing.weights[1]).toBe(routing.probabilities[routing.expertIds[1]]);
  });

  it('Gumbel noise is finite with mean γ and variance π²/6', () => {
    const noise = gumbelNoise(randomKey(1), 20_000);
    expect(noise.every(Number.isFinite)).toBe(true);
    const mean = noise.reduce((sum, value) => sum + value, 0) / noise.length;
    const variance = noise.reduce((sum, value) => sum + (value - mean) ** 2, 0) / noise.length;
    expect(Math.abs(mean - 0.5772)).toBeLessThan(0.05);
    expect(Math.abs(variance - Math.PI ** 2 / 6)).toBeLessThan(0.15);
  });
});

describe('forced-uniform router', () => {
  it('loads all experts alike, with k different experts per token and weights p', () => {
    fc.assert(
      fc.property(problems(), fc.nat(), ({ logits, T, N }, pick) => {
        const k = (pick % N) + 1;
        const routing = routeUniform(logits, { k });
        const { wantedPerExpert } = routerStatistics(routing);
        expect(Math.max(...wantedPerExpert) - Math.min(...wantedPerExpert)).toBeLessThanOrEqual((T * k) % N === 0 ? 0 : 1);
        routing.expertIds.forEach((expert, index) => {
          const token = Math.floor(index / k);
          expect(expert).toBe((token * k + (index % k)) % N);
          expect(routing.weights[index]).toBe(routing.probabilities[token * N + expert]);
        });
      }),
    );
  });
});
