// Averages of checkpoints: the numbers, the checkpoint that holds them, and which one is the best then.
import { afterAll, describe, expect, it } from 'vitest';
import { averageTensors } from '../../src/checkpoint/average-tensors.js';
import { createCheckpointStore } from '../../src/checkpoint/store.js';
import { findBest, saveAverage } from '../../src/checkpoint/average.js';
import type { StoredTensor } from '../../src/checkpoint/tensor-format.js';
import { temporaryFolder } from '@xmoe/testing/programs';

const inFolder = temporaryFolder(afterAll);
const tensors = (a: number[], b: number): StoredTensor[] => [
  { name: 'a', dtype: 'float32', shape: [a.length], data: Float32Array.from(a) },
  { name: 'b', dtype: 'float32', shape: [], data: Float32Array.of(b) },
];

describe('averageTensors', () => {
  it('is the mean by name, whatever the order', () => {
    const mean = averageTensors([tensors([1, 2], 3), tensors([2, 2], 6).reverse(), tensors([6, 5], 0)]);
    expect(mean).toEqual(tensors([3, 3], 3));
  });

  it('sums in float64', () => {
    const value = 16_777_216; // 2²⁴: adding 1 in float32 changes nothing
    expect(averageTensors([tensors([value], 0), tensors([1], 0), tensors([1], 0)])[0]!.data).toEqual(Float32Array.of((value + 2) / 3));
  });

  it('refuses other tensors and none', () => {
    expect(() => averageTensors([tensors([1, 2], 3), tensors([1, 2, 3], 3)])).toThrow('a has the shape [3], not [2]');
    expect(() => averageTensors([])).toThrow('nothing to average');
  });
});

describe('an average beside the checkpoints', () => {
  it('is a checkpoint like another, replaces the one before, and is the best when its metric is', async () => {
    const directory = inFolder('whole');
    expect(await findBest(directory)).toBeUndefined();
    const store = createCheckpointStore({ directory });
    const first = await store.save({ step: 1, tensors: { parameters: tensors([1], 1) }, state: { saved: 1 }, metric: 5 });
    await store.save({ step: 2, tensors: { parameters: tensors([2], 2) }, state: {}, metric: 6 });
    expect(await findBest(directory)).toBe(first.path);
    const content = { step: 2, tensors: { parameters: tensors([1.5], 1.5) }, state: { saved: 2 }, files: { 'tokenizer.json': '{}' } };
    await saveAverage(directory, { ...content, metric: 5.5 });
    expect(await findBest(directory)).toBe(first.path);
    const path = await saveAverage(directory, { ...content, metric: 4 });
    expect(await findBest(directory)).toBe(path);
    expect(await store.load(path)).toMatchObject({ step: 2, metric: 4, state: { saved: 2 }, tensors: { parameters: tensors([1.5], 1.5) } });
    expect((await store.list()).map(({ step }) => step)).toEqual([1, 2]); // not one to resume from
  });

  it('never holds what is not a number', async () => {
    const directory = inFolder('broken');
    await expect(saveAverage(directory, { step: 1, tensors: { parameters: tensors([Number.NaN], 0) }, state: {}, metric: 1 })).rejects.toThrow('not finite');
    expect(await findBest(directory)).toBeUndefined();
  });
});
