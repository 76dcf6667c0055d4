// Sampling: properties of the choice of one token.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sampleToken } from '@xmoe/nn';

const logitsOf = fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: 1, maxLength: 12 });
const uniform = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const all = { temperature: 1, topK: 0, topP: 1 };

describe('sampleToken', () => {
  it('takes the likeliest, the lowest id of equals, at temperature 0 and with k = 1', () => {
    fc.assert(fc.property(logitsOf, uniform, (logits, u) => {
      const best = logits.indexOf(Math.max(...logits));
      expect(sampleToken(logits, u, { ...all, temperature: 0 })).toBe(best);
      expect(sampleToken(logits, u, { ...all, topK: 1 })).toBe(best);
      expect(sampleToken(logits, u, { ...all, topP: 1e-9 })).toBe(best);
    }));
  });

  it('never takes a token outside the k likeliest, nor outside the nucleus', () => {
    fc.assert(fc.property(logitsOf, uniform, fc.integer({ min: 1, max: 12 }), fc.double({ min: 0.01, max: 1, noNaN: true }), (logits, u, topK, topP) => {
      const rank = (id: number): number => logits.filter((other, index) => other > logits[id]! || (other === logits[id]! && index < id)).length;
      expect(rank(sampleToken(logits, u, { ...all, topK }))).toBeLessThan(topK);
      const chosen = sampleToken(logits, u, { ...all, topP });
      const weights = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
      const before = weights.filter((_, id) => rank(id) < rank(chosen)).reduce((sum, weight) => sum + weight, 0);
      // Those before it do not reach the mass on their own.
      expect(before).toBeLessThan(topP * weights.reduce((sum, weight) => sum + weight, 0) + 1e-9);
    }));
  });

  it('takes vocabularies of any size', () => {
    const logits = new Float32Array(2 ** 18).map((_, id) => (id * 7919) % 1000);
    const best = logits.indexOf(999);
    for (const options of [{ ...all, temperature: 0 }, { ...all, topK: 1 }, { ...all, topK: 40, topP: 1e-9 }]) expect(sampleToken(logits, 0.5, options)).toBe(best);
    expect(logits[sampleToken(logits, 0.5, all)]).toBeGreaterThan(990);
  });

  it.each([
    [[0, NaN, 1], 'sample: the logit of token 1 is NaN'],
    [[0, 1, Infinity], 'sample: the logit of token 2 is Infinity'],
    [[-Infinity, -Infinity], 'sample: no token has a logit above −∞'],
    [[], 'sample: no token has a logit above −∞'],
  ])('refuses %o, which have no softmax, at any temperature', (logits, message) => {
    for (const temperature of [0, 1]) expect(() => sampleToken(logits, 0.5, { ...all, temperature })).toThrow(message);
  });

  it('never takes a token with a logit of −∞', () => {
    for (const u of [0, 0.5, 0.999999]) expect(sampleToken([-Infinity, 0, -Infinity], u, all)).toBe(1);
  });

  it('takes each token for a share of u equal to its probability', () => {
    const logits = [Math.log(0.2), Math.log(0.5), Math.log(0.3)];
    const counts = [0, 0, 0];
    for (let i = 0; i < 1000; i++) counts[sampleToken(logits, (i + 0.5) / 1000, all)]!++;
    expect(counts).toEqual([200, 500, 300]);
    counts.fill(0);
    for (let i = 0; i < 1000; i++) counts[sampleToken(logits, (i + 0.5) / 1000, { ...all, topP: 0.7 })]!++;
    expect(counts).toEqual([0, 625, 375]); // the nucleus, renormalised
    counts.fill(0);
    for (let i = 0; i < 3800; i++) counts[sampleToken(logits, (i + 0.5) / 3800, { ...all, temperature: 0.5 })]!++;
    expect(counts).toEqual([400, 2500, 900]); // squares: 4, 25 and 9 of 38
  });
});
