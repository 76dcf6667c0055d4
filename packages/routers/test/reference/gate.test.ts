// The softmax gate, what it accepts, and the losses and statistics on top of it.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import {
  balanceLoss,
  routeHash,
  routeThreshold,
  routeTopK,
  routerStatistics,
  softmaxGate,
  topChoiceShare,
  zLoss,
} from '@xmoe/routers/reference';
import { problems } from './arbitraries.js';

describe('softmax gate', () => {
  it('rows sum to 1, padding rows to 0, and float32 results are float32', () => {
    fc.assert(
      fc.property(problems(), ({ T, N, logits, mask }) => {
        const { probabilities } = softmaxGate(logits, { mask });
        for (let token = 0; token < T; token++) {
          const row = probabilities.subarray(token * N, token * N + N);
          expect(row.reduce((sum, p) => sum + p, 0)).toBeCloseTo(mask[token] ? 1 : 0, 5);
        }
        expect(Float64Array.from(Float32Array.from(probabilities))).toEqual(probabilities);
      }),
    );
  });

  it('rounds logits in float32 and keeps them in float64', () => {
    const logits = [[0.1, 0.1 + 1e-12]];
    const [a, b] = softmaxGate(logits).probabilities;
    expect(a).toBe(b);
    const [low, high] = softmaxGate(logits, { precision: 'float64' }).probabilities;
    expect(low).toBeLessThan(high);
  });

  it('takes rows, typed rows and flat arrays alike', () => {
    const expected = softmaxGate([[1, 2], [3, -4]]);
    expect(softmaxGate([Float32Array.of(1, 2), Float32Array.of(3, -4)])).toEqual(expected);
    expect(softmaxGate({ values: Float32Array.of(1, 2, 3, -4), tokens: 2, experts: 2 })).toEqual(expected);
    expect(softmaxGate({ values: [], tokens: 0, experts: 3 }).probabilities).toHaveLength(0);
  });

  const bad: [string, unknown, RegExp][] = [
    ['NaN', [[0, 1], [0, Number.NaN]], /logits\[1\]\[1\] is NaN/],
    ['null', [[0, null]], /logits\[0\]\[1\] is null/],
    ['text', [['NaN', 1]], /logits\[0\]\[0\] is "NaN"/],
    ['infinity', [[0, 1 / 0]], /logits\[0\]\[1\] is Infinity/],
    ['beyond float32', [[1e39, 0]], /logits\[0\]\[0\] is 1e\+39, too large for float32/],
    ['ragged rows', [[0, 1], [0]], /ragged: logits\[0\] has 2 entries, logits\[1\] has 1/],
    ['no row', [], /logits has no row/],
    ['an empty row', [[]], /logits\[0\] is empty/],
    ['a number as row', [1, 2], /logits\[0\] is 1, not a row/],
    ['text for rows', 'logits', /logits is "logits", not an array/],
    ['nothing', undefined, /logits is missing/],
    ['a wrong flat length', { values: [1, 2, 3], tokens: 2, experts: 2 }, /length 3, not 2·2/],
  ];
  it.each(bad)('refuses %s', (_, logits, message) => {
    expect(() => softmaxGate(logits as number[][])).toThrow(message);
  });

  it('refuses a mask of the wrong length or with other entries', () => {
    expect(() => softmaxGate([[1]], { mask: [true, true] })).toThrow(/mask must hold one entry per token: 2 entries for 1/);
    expect(() => softmaxGate([[1]], { mask: [2] })).toThrow(/mask\[0\] is 2, not true or false/);
  });
});

describe('losses', () => {
  it('balance loss: 1 when balanced, N when all mass is on one expert', () => {
    const even = softmaxGate([[300, 0, 0], [0, 300, 0], [0, 0, 300]]);
    expect(balanceLoss(even)).toBeCloseTo(1, 6);
    expect(balanceLoss(softmaxGate([[300, 0, 0], [300, 0, 0]]))).toBeCloseTo(3, 6);
  });

  it('z-loss is the mean squared log-sum-exp', () => {
    expect(zLoss(softmaxGate([[0, 0], [1, 1]]))).toBeCloseTo((Math.log(2) ** 2 + (1 + Math.log(2)) ** 2) / 2, 12);
  });

  it('padding tokens enter neither losses nor statistics', () => {
    fc.assert(
      fc.property(problems(), ({ logits, mask }) => {
        const masked = routeThreshold(logits, { threshold: 0.7, mask });
        const real = logits.filter((_, token) => mask[token]);
        if (real.length === 0) {
          expect([masked.balanceLoss, masked.zLoss, routerStatistics(masked).tokens]).toEqual([0, 0, 0]);
          return;
        }
        const alone = routeThreshold(real, { threshold: 0.7 });
        expect(masked.balanceLoss).toBeCloseTo(alone.balanceLoss, 9);
        expect(masked.zLoss / (1 + alone.zLoss)).toBeCloseTo(alone.zLoss / (1 + alone.zLoss), 9);
        const [a, b] = [routerStatistics(masked), routerStatistics(alone)];
        expect(a.wantedPerExpert).toEqual(b.wantedPerExpert);
        expect(a.expertsPerTokenHistogram).toEqual(b.expertsPerTokenHistogram);
        expect(a.entropyMean).toBeCloseTo(b.entropyMean, 9);
      }),
    );
  });

  it('the top choice of a tie is the lowest expert', () => {
    expect([...topChoiceShare(softmaxGate([[1, 1, 0], [0, 2, 2]]))]).toEqual([0.5, 0.5, 0]);
  });
});

describe('router statistics', () => {
  it('counts by hand', () => {
    const statistics = routerStatistics(routeTopK([[0, 0], [0, Math.log(3)]], { k: 1 }));
    expect(statistics).toMatchObject({ tokens: 2, claims: 2, expertsPerToken: 1, loadImbalance: 1 });
    expect([...statistics.expertsPerTokenHistogram]).toEqual([0, 2]);
    expect([...statistics.wantedPerExpert]).toEqual([1, 1]);
    expect(statistics.topOneMassMean).toBeCloseTo(0.625, 6);
    expect(statistics.selectedMassMean).toBeCloseTo(0.625, 6);
    const entropy = (Math.log(2) + Math.log(4) - 0.75 * Math.log(3)) / 2;
    expect(statistics.entropyMean).toBeCloseTo(entropy, 6);
  });

  it('are of any number of experts, more than one call may take arguments', () => {
    const statistics = routerStatistics(routeTopK([new Float64Array(300_000)], { k: 1 }));
    expect([statistics.wantedPerExpert[0], statistics.loadImbalance]).toEqual([1, 300_000]);
  });

  it('a hash routing has no entropy', () => {
    const statistics = routerStatistics(routeHash([0, 0, 1], { experts: 2, map: [1, 0] }));
    expect(statistics).toMatchObject({ entropyMean: 0, topOneMassMean: 1, selectedMassMean: 1 });
    expect(statistics.loadImbalance).toBeCloseTo(4 / 3, 12);
  });
});
