// Cases of crossEntropyStats and crossEntropyGrad: whole vocabularies and chunks, targets outside the chunk and the vocabulary,
// padding, logits that share a large number, rows without a softmax.
import { type FloatDType } from '@xmoe/core';
import { LOWEST_FLOAT32 } from '@xmoe/core/backend';
import { defineCase, FLOATS, input, output, type ConformanceCase, type OperandSpec } from '../case.js';
import { cycle, distantSteps, integers, uniform, unruly, type DataGenerator } from '../data.js';

interface Chunk {
  readonly R: number;
  readonly C: number;
  readonly offset: number;
  readonly vocabulary: number;
}

const CHUNKS: readonly Chunk[] = [
  { R: 7, C: 13, offset: 0, vocabulary: 13 },
  { R: 11, C: 5, offset: 4, vocabulary: 13 },
  { R: 1, C: 1, offset: 0, vocabulary: 1 },
  { R: 0, C: 5, offset: 0, vocabulary: 5 },
  { R: 3, C: 1009, offset: 1009, vocabulary: 3000 },
  { R: 5, C: 64, offset: 64, vocabulary: 130 },
  { R: 65537, C: 2, offset: 1, vocabulary: 3 },
  { R: 2, C: 50257, offset: 0, vocabulary: 50257 },
];

function chunksOf(dtype: FloatDType): readonly Chunk[] {
  return dtype === 'float16' ? CHUNKS.slice(0, 2) : CHUNKS;
}

/** Ids from −1 (padding) to the end of the vocabulary. */
function targetIds({ vocabulary }: Chunk): DataGenerator {
  return integers(-1, vocabulary - 1);
}

/** Ids on both sides of the chunk, none and beyond the vocabulary, against the rows of `unruly`. */
const UNRULY: readonly Chunk[] = [{ R: 35, C: 9, offset: 3, vocabulary: 13 }, { R: 35, C: 100, offset: 0, vocabulary: 100 }];
const outsideIds = ({ offset, C, vocabulary }: Chunk): DataGenerator => cycle(offset, -1, vocabulary, offset + C - 1, 2 ** 31 - 1);

/** `smoothed`: the total is asked for. */
function statsCase(chunk: Chunk, dtype: FloatDType, note: string, logits: DataGenerator, smoothed: boolean, targets: DataGenerator, absolute: number) {
  return defineCase('crossEntropyStats', {
    label: `[${chunk.R}, ${chunk.C}] at ${chunk.offset} of ${chunk.vocabulary}, ${note}${smoothed ? '' : ', no total'}`,
    dtype,
    operands: {
      logits: input([chunk.R, chunk.C], dtype, logits),
      targets: input([chunk.R], 'int32', targets),
      peak: output([chunk.R], 'float32'),
      sum: output([chunk.R], 'float32'),
      picked: output([chunk.R], 'float32'),
      ...(smoothed ? { total: output([chunk.R], 'float32') } : {}),
    } as Record<'logits' | 'targets' | 'peak' | 'sum' | 'picked' | 'total', OperandSpec>,
    tolerance: { relative: 1e-5, absolute },
    run: (kernel, { logits, targets, peak, sum, picked, total }) =>
      kernel({ logits, targets }, { peak, sum, picked, total: total ?? null }, { offset: chunk.offset, vocabulary: chunk.vocabulary }),
  });
}

export const crossEntropyStats: readonly ConformanceCase[] = FLOATS.flatMap((dtype) => [
  ...chunksOf(dtype).flatMap((chunk) =>
    [4, 300].map((spread) =>
      statsCase(chunk, dtype, `±${spread}`, uniform(-spread, spread), true, targetIds(chunk), 2e-6 * spread * Math.sqrt(chunk.C)))),
  ...chunksOf(dtype).slice(0, 2).map((chunk) => statsCase(chunk, dtype, '±4', uniform(-4, 4), false, targetIds(chunk), 1e-5)),
  ...UNRULY.flatMap((chunk) => [true, false].map((smoothed) => statsCase(chunk, dtype, 'unruly', unruly(chunk.C), smoothed, outsideIds(chunk), 1e-5))),
  ...(dtype === 'float16' ? [] : [1e4, 1e8].flatMap((offset) =>
    chunksOf(dtype).slice(4).map((chunk) => statsCase(chunk, dtype, `near ${offset}`, distantSteps(offset), true, targetIds(chunk), 1e-5)))),
]);

function gradCase(chunk: Chunk, dtype: FloatDType, note: string, labelSmoothing: number, rows: { logits: DataGenerator; targets?: DataGenerator; peak: DataGenerator; sum: DataGenerator }) {
  return defineCase('crossEntropyGrad', {
    label: `[${chunk.R}, ${chunk.C}] at ${chunk.offset} of ${chunk.vocabulary}, ${note}smoothing ${labelSmoothing}`,
    dtype,
    operands: {
      logits: input([chunk.R, chunk.C], dtype, rows.logits),
      targets: input([chunk.R], 'int32', rows.targets ?? targetIds(chunk)),
      peak: input([chunk.R], 'float32', rows.peak),
      sum: input([chunk.R], 'float32', rows.sum),
      scale: input([chunk.R], 'float32', cycle(0.5, 0, 0.25)),
      dlogits: output([chunk.R, chunk.C], dtype),
    },
    run: (kernel, { logits, targets, peak, sum, scale, dlogits }) =>
      kernel({ logits, targets, peak, sum, scale }, { dlogits }, { offset: chunk.offset, labelSmoothing, vocabulary: chunk.vocabulary }),
  });
}

export const crossEntropyGrad: readonly ConformanceCase[] = FLOATS.flatMap((dtype) => [0, 0.1].flatMap((labelSmoothing) => [
  ...chunksOf(dtype).map((chunk) =>
    gradCase(chunk, dtype, '', labelSmoothing, { logits: uniform(-4, 4), peak: uniform(4, 5), sum: uniform(1, 9) })),
  // Of the rows of `unruly`: the largest, and 1 where there is a softmax, 0 for −∞ alone, else NaN.
  ...UNRULY.map((chunk) => gradCase(chunk, dtype, 'unruly, ', labelSmoothing, {
    logits: unruly(chunk.C), targets: outsideIds(chunk), peak: cycle(5, LOWEST_FLOAT32, 5, NaN, NaN, NaN, NaN), sum: cycle(3, 0, 3, NaN, NaN, NaN, NaN),
  })),
  ...(dtype === 'float16' ? [] : [1e4, 1e8].flatMap((offset) => chunksOf(dtype).slice(4).map((chunk) =>
    gradCase(chunk, dtype, `near ${offset}, `, labelSmoothing, { logits: distantSteps(offset), peak: cycle(offset), sum: uniform(1, 9) })))),
]));
