// Batches of pairs: every pair once per epoch, within the budget, in few shapes, padded as promised, in an order that depends
// on the seed alone, and the same after a resume.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collatePairs } from '../../src/parallel/collate-pairs.js';
import { createParallelSampler, evaluationBatches } from '../../src/parallel/parallel-sampler.js';
import type { ParallelBatch, ParallelSamplerOptions, ParallelSplit, TokenPair } from '../../src/parallel/parallel-batch.js';

const tokens = { padding: 0, beginOfSentence: 1, endOfSentence: 2 };

/** Token pairs of the given lengths (end of sentence included) as a split. */
function splitOf(lengths: readonly [number, number][]): ParallelSplit {
  const side = (length: number, base: number) => Int32Array.from({ length }, (_, i) => (i === length - 1 ? tokens.endOfSentence : base + i));
  const pairs: TokenPair[] = lengths.map(([source, target], i) => ({ source: side(source, 1000 * i + 10), target: side(target, 1000 * i + 500) }));
  return {
    name: 'train',
    pairs: pairs.length,
    sourceTokens: lengths.reduce((sum, [source]) => sum + source, 0),
    targetTokens: lengths.reduce((sum, [, target]) => sum + target, 0),
    sourceLengths: Uint32Array.from(lengths, ([source]) => source),
    targetLengths: Uint32Array.from(lengths, ([, target]) => target),
    kinds: [''],
    kindOf: new Uint16Array(pairs.length),
    read: (index) => pairs[index],
  };
}

const lengthsOf = (count: number, most: number, seed = 1): [number, number][] =>
  Array.from({ length: count }, (_, i) => {
    const source = 1 + (((i + seed) * 7919) % most);
    return [source, Math.max(1, Math.min(most, source + ((i * 31) % 7) - 3))];
  });

const samplerOf = (split: ParallelSplit, options: Partial<ParallelSamplerOptions> = {}) =>
  createParallelSampler({ split, tokens, maxTokens: 128, seed: 3, ...options });
const epochOf = (sampler: { next(): ParallelBatch; batchesPerEpoch: number }) => Array.from({ length: sampler.batchesPerEpoch }, () => sampler.next());

describe('a batch', () => {
  it('is padded, shifted and masked', () => {
    const batch = collatePairs([{ source: Int32Array.of(7, 8, 2), target: Int32Array.of(5, 2) }, { source: Int32Array.of(9, 2), target: Int32Array.of(3, 4, 6, 2) }], tokens, { sourceLength: 4, indices: [11, 5] });
    expect(batch).toEqual({
      rows: 2, sourceLength: 4, targetLength: 4,
      source: Int32Array.of(7, 8, 2, 0, 9, 2, 0, 0),
      sourceMask: Uint8Array.of(1, 1, 1, 0, 1, 1, 0, 0),
      sourceLengths: Int32Array.of(3, 2),
      targetInput: Int32Array.of(1, 5, 0, 0, 1, 3, 4, 6),
      targetOutput: Int32Array.of(5, 2, -1, -1, 3, 4, 6, 2),
      targetMask: Uint8Array.of(1, 1, 0, 0, 1, 1, 1, 1),
      targetLengths: Int32Array.of(2, 4),
      sourceTokens: 5, targetTokens: 6,
      indices: Int32Array.of(11, 5),
    });
    expect(collatePairs([{ source: Int32Array.of(2), target: Int32Array.of(2) }], tokens).indices).toEqual(Int32Array.of(0));
  });

  it('refuses what does not fit', () => {
    const pair = { source: Int32Array.of(7, 8, 2), target: Int32Array.of(5, 2) };
    expect(() => collatePairs([pair], tokens, { sourceLength: 2 })).toThrow('sourceLength is 2 and a row has 3 tokens');
    expect(() => collatePairs([], tokens)).toThrow('no pairs');
    expect(() => collatePairs([{ ...pair, target: new Int32Array(0) }], tokens)).toThrow('empty side');
  });
});

describe('an epoch', () => {
  it('is one batch of all pairs where the budget allows it, however many they are', () => {
    const pairs = 150_000;
    const ones = new Uint32Array(pairs).fill(1);
    const split = { ...splitOf([[1, 1]]), pairs, sourceLengths: ones, targetLengths: ones, kindOf: new Uint16Array(pairs), read: () => splitOf([[1, 1]]).read(0) };
    const sampler = samplerOf(split, { maxTokens: 8 * pairs });
    expect(sampler.batchesPerEpoch).toBe(1);
    expect(sampler.next().rows).toBe(pairs);
  });

  it('takes every pair once, whole, within the budget', () => {
    const lengths = fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 })), { minLength: 1, maxLength: 120 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 40, max: 400 }), fc.option(fc.integer({ min: 1, max: 9 })), (sizes, maxTokens, maxRows) => {
        const split = splitOf(sizes);
        const sampler = samplerOf(split, { maxTokens, maxRows: maxRows ?? undefined });
        const batches = epochOf(sampler);
        expect(batches.flatMap(({ indices }) => [...indices]).sort((a, b) => a - b)).toEqual(sizes.map((_, i) => i));
        for (const batch of batches) {
          expect(batch.rows * Math.max(batch.sourceLength, batch.targetLength)).toBeLessThanOrEqual(maxTokens);
          expect(batch.rows).toBeLessThanOrEqual(maxRows ?? Infinity);
          batch.indices.forEach((pair, row) => {
            const { source, target } = split.read(pair);
            expect(batch.source.slice(row * batch.sourceLength, row * batch.sourceLength + source.length)).toEqual(source);
            expect(batch.targetOutput.slice(row * batch.targetLength, row * batch.targetLength + target.length)).toEqual(target);
          });
        }
        expect(sampler.epochs).toBe(1);
        expect(sampler.shapes.reduce((sum, shape) => sum + shape.batches, 0)).toBe(batches.length);
      }),
      { numRuns: 100 },
    );
  });

  it('has few shapes, the same in every epoch, and little padding', () => {
    const sampler = samplerOf(splitOf(lengthsOf(6000, 90)), { maxTokens: 1024 });
    const shape = ({ rows, sourceLength, targetLength }: ParallelBatch) => `${rows} ${sourceLength} ${targetLength}`;
    const [first, second] = [epochOf(sampler).map(shape).sort(), epochOf(sampler).map(shape).sort()];
    expect(second).toEqual(first);
    expect(new Set(first).size).toBe(sampler.shapes.length);
    expect(sampler.shapes.length).toBeLessThan(40);
    expect(sampler.efficiency).toBeGreaterThan(0.8);
    const lengths = new Set(sampler.shapes.flatMap(({ sourceLength, targetLength }) => [sourceLength, targetLength]));
    expect([...lengths].every((length) => [8, 12, 16, 24, 32, 48, 64, 90].includes(length))).toBe(true);
  });

  it('goes in another order each time, the same for the same seed', () => {
    const split = splitOf(lengthsOf(200, 30));
    const order = (seed: number) => {
      const sampler = samplerOf(split, { seed });
      return [epochOf(sampler), epochOf(sampler)].map((batches) => batches.flatMap(({ indices }) => [...indices]).join());
    };
    expect(order(3)).toEqual(order(3));
    expect(order(3)[0]).not.toBe(order(3)[1]);
    expect(order(3)[0]).not.toBe(order(4)[0]);
  });

  it('skips and counts what is longer than the longest row', () => {
    const sampler = samplerOf(splitOf([[5, 5], [50, 5], [5, 33], [32, 32]]), { maximumLength: 32 });
    expect(sampler.skipped).toBe(2);
    expect(epochOf(sampler).flatMap(({ indices }) => [...indices]).sort()).toEqual([0, 3]);
  });
});

describe('resuming', () => {
  it('gives the same batches to the bit, at any place', () => {
    const split = splitOf(lengthsOf(150, 30));
    const original = samplerOf(split);
    const whole = Array.from({ length: 2 * original.batchesPerEpoch + 3 }, () => original.next());
    for (const stop of [0, 1, original.batchesPerEpoch - 1, original.batchesPerEpoch, original.batchesPerEpoch + 2]) {
      const before = samplerOf(split);
      for (let i = 0; i < stop; i++) before.next();
      const after = samplerOf(split);
      after.restore(JSON.parse(JSON.stringify(before.state())));
      expect(after.epochs).toBe(before.epochs);
      for (let i = stop; i < whole.length; i++) expect(after.next()).toEqual(whole[i]);
    }
  });

  it('refuses the state of another run', () => {
    const split = splitOf(lengthsOf(50, 30));
    const state = samplerOf(split).state();
    expect(() => samplerOf(split, { seed: 4 }).restore(state)).toThrow('seed was 3 and is now 4');
    expect(() => samplerOf(splitOf(lengthsOf(51, 30))).restore(state)).toThrow('it was in 50 pairs and there are 51');
    expect(() => samplerOf(splitOf(lengthsOf(50, 30, 2))).restore(state)).toThrow('have changed');
    expect(() => samplerOf(split, { maxTokens: 256 }).restore(state)).toThrow('have changed');
    expect(() => samplerOf(split, { maxRows: 2 }).restore(state)).toThrow('have changed');
    expect(() => samplerOf(split).restore({ ...state, position: 999 })).toThrow('position 999 lies beyond');
    expect(() => samplerOf(split).restore({ ...state, epoch: -1 })).toThrow('epoch is -1');
  });
});

describe('evaluation', () => {
  it('takes each pair once, always in the same order, or the pairs asked for', () => {
    const split = splitOf(lengthsOf(100, 30));
    const order = () => [...evaluationBatches({ split, tokens, maxTokens: 128 })].flatMap(({ indices }) => [...indices]);
    expect(order()).toEqual(order());
    expect([...order()].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    const some = [...evaluationBatches({ split, tokens, maxTokens: 128, indices: [7, 3, 99] })].flatMap(({ indices }) => [...indices]);
    expect(some.sort((a, b) => a - b)).toEqual([3, 7, 99]);
    expect([...evaluationBatches({ split, tokens, maxTokens: 128, indices: [] })]).toEqual([]);
  });
});

describe('options', () => {
  const split = splitOf([[5, 5], [40, 12]]);
  it.each<[Partial<ParallelSamplerOptions>, string]>([
    [{ maxTokens: 39 }, 'maxTokens is 39, and a row may have 40 tokens'],
    [{ maxTokens: 0 }, 'maxTokens is 0'],
    [{ maxRows: 0 }, 'maxRows is 0'],
    [{ maximumLength: 4, maxTokens: 64 }, 'the train split has no pair that fits'],
    [{ lengths: [8, 8] }, 'lengths[1] is 8'],
    [{ seed: -1 }, 'seed is -1'],
  ])('%j are refused', (options, message) => {
    expect(() => samplerOf(split, options)).toThrow(`createParallelSampler: ${message}`);
  });

  it('name the row lengths', () => {
    const sampler = samplerOf(split, { lengths: [6, 20] });
    expect(sampler.shapes.map(({ sourceLength }) => sourceLength).sort((a, b) => a - b)).toEqual([40]);
    const exact = samplerOf(splitOf(Array.from({ length: 10 }, (): [number, number] => [5, 5])), { lengths: [6, 20], maximumLength: 20, maxTokens: 30 });
    expect(exact.shapes).toEqual([{ rows: 5, sourceLength: 6, targetLength: 6, batches: 2 }]);
  });
});
