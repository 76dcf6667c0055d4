// The experiments of translation: valid at every scale, of equal FLOPs, and refused where there are none. Making runs of them is tested with the
// language models'.
import { describe, expect, it } from 'vitest';
import { translationSuite } from '../src/experiments/translation-suite.js';
import { runHere } from './support.js';

describe('table3', () => {
  it.each(translationSuite.scales)('is valid at scale %s, with equal FLOPs in its arms, and five pairs', (scale) => {
    const [table, ...others] = translationSuite.experiments(scale, {});
    expect([table, ...others].map((experiment) => experiment!.name)).toEqual(translationSuite.names);
    expect(table!.groups).toHaveLength(5);
    for (const { rows } of table!.groups) {
      const costs = rows.map(({ arm }) => translationSuite.flopsOf(arm.config));
      for (const cost of costs) expect(cost / costs[0]!).toBeLessThan(1.1); // equal but for the gate
      expect(Math.min(...costs)).toBe(costs[0]);
      expect(new Set(rows.map(({ arm }) => arm.name)).size).toBe(8);
    }
  });

  it('stands on the presets of the paper at scale paper', () => {
    const [table] = translationSuite.experiments('paper', {});
    expect(table!.groups[1]!.rows.at(-2)!.arm.config).toMatchObject({
      moe: { experts: 64, expertHidden: 1024, capacityFactor: 2, router: { type: 'threshold', threshold: 0.9 } }, model: { width: 512, encoderLayers: 12, decoderLayers: 6 },
      data: { sourceLanguage: 'de', files: ['data/de-en.tsv'] }, train: { updateTokens: 1_000_000, warmupSteps: 512 },
    });
  });

  it('takes own data as one pair, and other steps', () => {
    const [table] = translationSuite.experiments('tiny', { data: ['pairs.tsv'], maxSteps: 20 });
    expect(table!.groups.map(({ title }) => title)).toEqual(['your text']);
    expect(table!.groups[0]!.rows[0]!.arm.config).toMatchObject({ data: { files: ['pairs.tsv'] }, train: { steps: 20, warmupSteps: 19 } });
  });

  it('has no others', async () => {
    expect(await runHere('reproduce', 'table1')).toMatchObject({ code: 2, messages: expect.stringContaining('unknown experiment "table1"') });
  });
});
