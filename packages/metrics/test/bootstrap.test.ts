// Resampling draws the lines that numpy's generator draws, so means, intervals and p-values are those of sacreBLEU.
import { describe, expect, it } from 'vitest';
import { bootstrapScore, corpusBleu, createBleu, createChrf, pairedBootstrap } from '../src/index.js';
import { createNumpyIntegers } from '../src/numpy-random.js';
import { bootstrapFixture } from './fixtures.js';

const { systems, references, tests, draws } = bootstrapFixture;
const [[baselineName, baseline], ...others] = systems;
const metrics = { bleu: createBleu(), chrf: createChrf({ wordOrder: 2 }) };

describe('random integers', () => {
  it('are those of numpy.random.default_rng', () => {
    for (const [seed, expected] of Object.entries(draws)) {
      [1, 2, 7, 1000, 99991].forEach((bound, i) => {
        const draw = createNumpyIntegers(Number(seed));
        expect(Array.from({ length: 20 }, () => draw(bound)), `seed ${seed}, below ${bound}`).toEqual(expected[i]);
      });
    }
  });

  it('refuse a seed that is none', () => {
    expect(() => createNumpyIntegers(-1)).toThrow('bootstrap: seed is -1');
    expect(() => createNumpyIntegers(0.5)).toThrow('seed is 0.5');
  });
});

describe.each(tests)('paired bootstrap of $metric', ({ metric, signature, results }) => {
  const result = pairedBootstrap(metrics[metric], baseline, Object.fromEntries(others), references);

  it('gives the scores, means and intervals of sacreBLEU', () => {
    const all = [{ name: baselineName, ...result.baseline }, ...result.systems];
    expect(all.map(({ name }) => name)).toEqual(results.map(({ name }) => name));
    all.forEach(({ score, mean, interval }, i) => {
      expect(score).toBeCloseTo(results[i].score, 6);
      expect(mean).toBeCloseTo(results[i].mean, 4); // sacreBLEU adds up in single precision
      expect(interval).toBeCloseTo(results[i].ci, 4);
    });
  });

  it('gives its p-values and signature', () => {
    expect(result.systems.map(({ pValue }) => pValue)).toEqual(results.slice(1).map(({ p }) => p));
    expect(result.systems.map(({ pValue }) => pValue < 0.05)).toEqual([true, false, true]);
    expect(result.signature).toBe(signature);
  });

  it('agrees with the interval of one system', () => {
    const alone = bootstrapScore(metrics[metric], baseline, references);
    expect(alone).toEqual({ ...result.baseline, signature });
  });
});

describe('options', () => {
  it('samples and seed change the draw', () => {
    const a = bootstrapScore(metrics.bleu, baseline, references, { samples: 40, seed: 1 });
    const b = bootstrapScore(metrics.bleu, baseline, references, { samples: 40, seed: 2 });
    expect(a.score).toBe(corpusBleu(baseline, references).score);
    expect(a.mean).not.toBe(b.mean);
    expect(a.signature).toContain('|bs:40|seed:1|');
  });

  it('are checked', () => {
    expect(() => bootstrapScore(metrics.bleu, baseline, references, { samples: 0 })).toThrow('samples is 0');
    expect(() => pairedBootstrap(metrics.bleu, baseline, { short: baseline.slice(1) }, references)).toThrow(
      `the references have ${references.length} lines and there are ${references.length - 1} hypotheses`,
    );
  });
});
