// Training batches and evaluation windows: coverage, resumption, and splits that are too short.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createArraySplit } from '../../src/data/array-split.js';
import { createBatchSampler, type BatchSampler, type BatchSamplerState } from '../../src/data/batch-sampler.js';
import { evaluationWindows } from '../../src/data/evaluation-windows.js';

const numbered = (length: number) => createArraySplit(Int32Array.from({ length }, (_, i) => i), { name: 'train' });
const take = (sampler: BatchSampler, count: number) => Array.from({ length: count }, () => sampler.next());

const shape = fc.record({
  length: fc.integer({ min: 2, max: 300 }),
  sequenceLength: fc.integer({ min: 1, max: 40 }),
  batchSize: fc.integer({ min: 1, max: 7 }),
  seed: fc.nat(),
});

describe('createBatchSampler', () => {
  it('resumes from its state as if it had not stopped, also with another batch size', () => {
    fc.assert(
      fc.property(shape, fc.nat(30), fc.integer({ min: 1, max: 7 }), ({ length, ...options }, before, otherSize) => {
        fc.pre(length > options.sequenceLength);
        const split = numbered(length);
        const continuous = createBatchSampler({ ...options, split });
        take(continuous, before);
        const state = JSON.parse(JSON.stringify(continuous.state())) as BatchSamplerState;
        const after = take(continuous, 12);
        const resumed = createBatchSampler({ ...options, split });
        take(resumed, 3);
        resumed.restore(state);
        expect(take(resumed, 12)).toEqual(after);
        expect(resumed.state()).toEqual(continuous.state());

        const regrouped = createBatchSampler({ ...options, split, batchSize: otherSize });
        regrouped.restore(state);
        const flat = (batches: { inputs: Int32Array }[]) => batches.flatMap(({ inputs }) => [...inputs]);
        const expected = flat(after);
        expect(flat(take(regrouped, 12)).slice(0, expected.length)).toEqual(expected.slice(0, 12 * otherSize * options.sequenceLength));
      }),
      { numRuns: 40 },
    );
  });

  it('predicts each token at most once an epoch, and all of them but the ends', () => {
    fc.assert(
      fc.property(shape, ({ length, sequenceLength, seed }) => {
        fc.pre(length > sequenceLength);
        const sampler = createBatchSampler({ split: numbered(length), batchSize: 1, sequenceLength, seed });
        const seen: number[] = [];
        while (sampler.state().epoch === 0 && sampler.epochs < 1) {
          const { inputs, targets } = sampler.next();
          expect(targets).toEqual(inputs.map((token) => token + 1));
          seen.push(...targets);
        }
        expect(new Set(seen).size).toBe(seen.length);
        const [first, last] = [Math.min(...seen), Math.max(...seen)];
        expect(seen.length).toBe(last - first + 1); // no hole
        expect(first).toBeLessThanOrEqual(sequenceLength);
        expect(length - 1 - last).toBeLessThan(sequenceLength);
      }),
    );
  });

  it('shuffles, and cuts anew in every epoch', () => {
    const options = { split: numbered(1001), batchSize: 10, sequenceLength: 10, seed: 1 };
    const starts = (sampler: BatchSampler, count: number) =>
      take(sampler, count).flatMap(({ inputs }) => Array.from({ length: 10 }, (_, row) => inputs[row * 10]));
    const sampler = createBatchSampler(options);
    const first = starts(sampler, 9);
    expect(first).not.toEqual([...first].sort((a, b) => a - b));
    const phases = Array.from({ length: 20 }, () => {
      while (sampler.state().position > 60) sampler.next();
      const phase = starts(sampler, 5)[10] % 10;
      while (sampler.state().position < 70) sampler.next();
      return phase;
    });
    expect(new Set(phases).size).toBeGreaterThan(4);
    expect(starts(createBatchSampler({ ...options, seed: 2 }), 9)).not.toEqual(first);
    expect(starts(createBatchSampler(options), 9)).toEqual(first);
  });

  it('gives every batch its own arrays', () => {
    const sampler = createBatchSampler({ split: numbered(50), batchSize: 2, sequenceLength: 5, seed: 0 });
    const first = sampler.next();
    const copy = [...first.inputs];
    sampler.next();
    expect([...first.inputs]).toEqual(copy);
  });

  it('names splits that are too short, and wrong sizes', () => {
    const options = { split: numbered(10), batchSize: 1, sequenceLength: 10, seed: 0 };
    expect(() => createBatchSampler(options)).toThrow('the train split has 10 tokens, fewer than a window of 11');
    expect(() => createBatchSampler({ ...options, batchSize: 0 })).toThrow('batchSize is 0');
    expect(() => createBatchSampler({ ...options, sequenceLength: 2.5 })).toThrow('sequenceLength is 2.5');
    expect(() => createBatchSampler({ ...options, sequenceLength: 5, seed: -1 })).toThrow('seed is -1');
  });

  it('refuses a state of other data', () => {
    const options = { split: numbered(100), batchSize: 1, sequenceLength: 10, seed: 0 };
    const sampler = createBatchSampler(options);
    const state = sampler.state();
    const wrong: [Partial<BatchSamplerState>, string][] = [
      [{ splitLength: 99 }, 'splitLength was 99 and is now 100'],
      [{ seed: 5 }, 'seed was 5 and is now 0'],
      [{ sequenceLength: 9 }, 'sequenceLength was 9'],
      [{ position: 1000 }, 'position 1000 lies beyond'],
      [{ epoch: -1 }, 'epoch is -1'],
    ];
    for (const [change, message] of wrong) expect(() => sampler.restore({ ...state, ...change })).toThrow(message);
    expect(sampler.state()).toEqual(state);
  });
});

describe('evaluationWindows', () => {
  it('predicts every token but the first exactly once, in order', () => {
    fc.assert(
      fc.property(shape, ({ length, sequenceLength, batchSize }) => {
        const targets: number[] = [];
        let counted = 0;
        for (const batch of evaluationWindows(numbered(length), sequenceLength, { batchSize, padToken: 5000 })) {
          expect(batch.inputs.length).toBe(batchSize * sequenceLength);
          expect(batch.inputs).toEqual(batch.targets.map((target) => (target === -1 ? 5000 : target - 1)));
          targets.push(...batch.targets.filter((target) => target !== -1));
          const kept = batch.targets.filter((target) => target >= 0).length;
          expect(batch.targetCount).toBe(kept);
          expect(batch.windows).toBe(Math.ceil(kept / sequenceLength));
          counted += batch.targetCount;
        }
        expect(targets).toEqual(Array.from({ length: length - 1 }, (_, i) => i + 1));
        expect(counted).toBe(length - 1);
      }),
    );
  });

  it('stops after maxWindows', () => {
    const batches = [...evaluationWindows(numbered(100), 10, { batchSize: 2, maxWindows: 3 })];
    expect(batches.map(({ windows, targetCount }) => [windows, targetCount])).toEqual([[2, 20], [1, 10]]);
  });

  it('names a split with nothing to predict', () => {
    expect(() => evaluationWindows(numbered(1), 10).next()).toThrow('the train split has 1 tokens: nothing to predict');
    expect(() => evaluationWindows(numbered(9), 0).next()).toThrow('sequenceLength is 0');
  });
});
