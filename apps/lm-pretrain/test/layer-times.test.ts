// Figure 8's measurement at a size that says nothing of time: both dispatches compute one layer, and every point is there.
import { describe, expect, it } from 'vitest';
import { figure8 } from '../src/experiments/figure8.js';
import { FINER, measureLayerTimes, SHARES, type LayerTime } from '../src/experiments/layer-times.js';

describe('layer times', () => {
  it('has every size of expert at every share, after both dispatches gave the same outputs', async () => {
    const shape = { tokens: 64, width: 16, hidden: 64 };
    const measured = await measureLayerTimes('cpu:wasm', shape);
    const layers = measured.layers as unknown as LayerTime[];
    expect(layers.slice(1).map(({ finer, share }) => [finer, share])).toEqual(FINER.flatMap((finer) => SHARES.map((share) => [finer, share])));
    expect(layers[0]).toMatchObject({ finer: 'dense', share: 1, flops: 4 * 64 * 16 * 64, masks: null });
    for (const { finer, share, flops, indices, masks } of layers) {
      expect(flops).toBe(share * 4 * 64 * 16 * 64);
      expect(indices).toBeGreaterThan(0);
      if (finer !== 'dense') expect(masks).toBeGreaterThan(0);
    }
    const { rows, sentences, charts } = figure8(false).measurement!.show(measured);
    expect(rows).toHaveLength(16);
    expect(sentences[0]).toContain('8 times smaller experts take');
    expect(charts).toHaveLength(1);
  });
});
