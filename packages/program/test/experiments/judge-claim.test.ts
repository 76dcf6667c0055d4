// Means, paired differences and what they decide.
import { describe, expect, it } from 'vitest';
import type { Claim, Results } from '../../src/experiments/experiment.js';
import { judgeClaim } from '../../src/experiments/judge-claim.js';
import { estimateOf, isNoise, pairedDifference } from '../../src/experiments/statistics.js';
import { arm, QUALITY } from './toy-suite.js';

describe('estimates', () => {
  it('are means with s/√n, and say nothing of the spread of one value', () => {
    expect(estimateOf([1, 2, 6])).toEqual({ mean: 3, error: Math.sqrt(7 / 3), count: 3 });
    expect(estimateOf([5])).toEqual({ mean: 5, error: null, count: 1 });
    expect(estimateOf([])).toBeUndefined();
  });

  it('of differences pair by seed and leave out halves of pairs', () => {
    // Far apart by seed, and equally so on both sides: the spread of the difference is small.
    const difference = pairedDifference([1.1, 5.2, 9.3, undefined], [1, 5, 9, 4])!;
    expect(difference.mean).toBeCloseTo(0.2, 12);
    expect(difference.error).toBeCloseTo(0.1 / Math.sqrt(3), 12);
    expect(difference.count).toBe(3);
  });

  it('are noise below two standard errors, and undecided with fewer than three pairs', () => {
    expect(isNoise({ mean: -1.9, error: 1, count: 3 })).toBe(true);
    expect(isNoise({ mean: -2.1, error: 1, count: 3 })).toBe(false);
    expect(isNoise({ mean: 9, error: null, count: 1 })).toBeNull();
    expect(isNoise({ mean: 9, error: 0.1, count: 2 })).toBeNull();
  });
});

describe('judgeClaim', () => {
  const [own, other] = [{ label: 'own', arm: arm('a', 1), point: {} }, { label: 'other', arm: arm('b', 2), point: {} }];
  const judge = (expectation: Claim['expect'], values: (number | undefined)[], others: (number | undefined)[], within?: number, quality = QUALITY) => {
    const claim: Claim = { text: 'x', row: own, than: other, expect: expectation, ...(within === undefined ? {} : { within }) };
    const results: Results = { directories: () => [], figures: ({ arm: { name } }) => (name === 'a' ? values : others).map((loss) => (loss === undefined ? undefined : { loss })) };
    return judgeClaim(claim, results, quality);
  };

  it.each([
    ['better', [1, 1.1, 0.9], [2, 2.1, 1.95], 'holds'],
    ['better', [2, 2.1, 1.95], [1, 1.1, 0.9], 'does not hold'],
    ['better', [1, 2, 3], [1.1, 1.9, 3.05], 'inside the noise'],
    ['better', [1], [2], 'too few seeds'],
    ['better', [1, 1.01], [2, 2.01], 'too few seeds'],
    ['better', [undefined], [2], 'not run'],
    ['no worse', [1, 2, 3], [1.1, 1.9, 3.05], 'holds'],
    ['no worse', [1.5, 2.5, 3.51], [1, 2, 3], 'does not hold'],
  ] as const)('%s of %j than %j: %s', (expectation, values, others, verdict) => {
    expect(judge(expectation, [...values], [...others]).verdict).toBe(verdict);
  });

  it('allows a share of the figure, and knows when higher is better', () => {
    expect(judge('no worse', [100.5, 101, 100.8], [100, 100.6, 100.2], 0.01).verdict).toBe('holds');
    expect(judge('no worse', [103, 103.1, 103.3], [100, 100, 100.2], 0.01).verdict).toBe('does not hold');
    expect(judge('better', [2, 2.1, 1.95], [1, 1.1, 0.9], undefined, { ...QUALITY, lowerIsBetter: false }).verdict).toBe('holds');
  });

  it('tells the figure that it rests on, and how many seeds have it', () => {
    expect(judge('better', [1, 1, 1.03, undefined], [2, 2, 2, 2]).sentence).toBe('Holds at this size: own against other: −0.990 ± 0.010 nats, 3 seeds of 4.');
  });
});
