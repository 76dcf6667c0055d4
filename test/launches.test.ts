// What a training step asks of a GPU does not grow unnoticed: launches, submits, bytes and memory of presets at full size, beside the
// numbers of test/launches.json. UPDATE_LAUNCHES=1 rewrites those: a change that raises one says why in its commit.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { flopsOf, LARGE_GPU, SMALLEST_GPU } from '@xmoe/testing';
import { describe, expect, it } from 'vitest';
import { CASES, measureLaunches, type LaunchRow } from '../bench/launches.js';

const file = fileURLToPath(new URL('launches.json', import.meta.url));
const committed = JSON.parse(readFileSync(file, 'utf8')) as LaunchRow[];
const GROWS = ['launches', 'submits', 'bytesMoved', 'peakBytes'] as const;
/** The rest are seconds each and grow with these. */
const TESTED = CASES.filter(({ preset, accumulation }) => preset === 'tiny' || preset === 'small' || (preset.startsWith('323m') && accumulation === 1));

describe('a training step on a large GPU', () => {
  it.each(TESTED)('of $preset asks for what is committed', async ({ preset, accumulation }) => {
    const { row, gpu } = await measureLaunches({ preset, accumulation });
    expect([...gpu.problems.keys()]).toEqual([]);
    if (process.env.UPDATE_LAUNCHES) {
      const rows = [...committed.filter((old) => old.preset !== preset), row];
      committed.splice(0, Infinity, ...rows.sort((a, b) => a.launches - b.launches));
      writeFileSync(file, `[\n${committed.map((one) => `  ${JSON.stringify(one)}`).join(',\n')}\n]\n`);
      return;
    }
    const expected = committed.find((old) => old.preset === preset && old.accumulation === accumulation)!;
    for (const key of GROWS) expect(row[key], `${key}: if it is meant, UPDATE_LAUNCHES=1 npx vitest run test/launches.test.ts`).toBeLessThanOrEqual(expected[key]);
  });

  it('submits no more than 64 launches or 100 GFLOP at once, a single launch apart', async () => {
    const { gpu } = await measureLaunches({ preset: '323m-xmoe-64x384', accumulation: 1 });
    for (const launches of gpu.submits) {
      expect(launches.length).toBeLessThanOrEqual(64);
      const flops = launches.map(flopsOf);
      if (flops.filter((count) => count > 0).length > 1) expect(flops.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(1.1 * 100e9);
    }
    // Few of them are cut short: most are as large as they may be, or end where the host reads.
    expect(gpu.submits.length).toBeLessThan(1.2 * (gpu.submits.flat().reduce((sum, launch) => sum + flopsOf(launch), 0) / 50e9 + gpu.submits.flat().length / 64));
  });
});

describe('every launch of a step', () => {
  const width = { set: ['train.batchSize=2', 'model.layers=2'] };
  it.each([
    ['a large GPU in half precision', LARGE_GPU, width],
    ['a large GPU without subgroup matrices', { ...LARGE_GPU, features: LARGE_GPU.features.filter((name) => !name.includes('matrix')) }, width],
    ['the smallest GPU, in single precision', SMALLEST_GPU, { set: [...width.set, 'train.precision=float32'] }],
    ['the smallest GPU, with a budget for the experts', SMALLEST_GPU, { set: [...width.set, 'train.precision=float32', 'moe.dispatch=budget'] }],
  ])('keeps to the rules of %s', async (_, profile, options) => {
    const { gpu, launches } = await measureLaunches({ preset: '323m-xmoe-64x384', accumulation: 3 }, { profile, ...options });
    expect(launches.length).toBeGreaterThan(500);
    expect([...gpu.problems]).toEqual([]);
  });
});
