// Cases of crossEntropyStats and crossEntropyGrad: whole vocabularies and chunks, targets outside the chunk, padding.
import type { FloatDType } from '@xmoe/core';
import { defineCase, FLOATS, input, output, type ConformanceCase } from '../case.js';
import { cycle, integers, uniform, type DataGenerator } from '../data.js';

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

export const crossEntropyStats: readonly ConformanceCase[] = FLOATS.flatMap((dtype) =>
  chunksOf(dtype).flatMap((chunk) =>
    [4, 300].map((spread) =>
      defineCase('crossEntropyStats', {
        label: `[${chunk.R}, ${chunk.C}] at ${chunk.offset} of ${chunk.vocabulary}, ±${spread}`,
        dtype,
        operands: {
          logits: input([chunk.R, chunk.C], dtype, uniform(-spread, spread)),
          targets: input([chunk.R], 'int32', targetIds(chunk)),
          lse: output([chunk.R], 'float32'),
          picked: output([chunk.R], 'float32'),
          total: output([chunk.R], 'float32'),
        },
        tolerance: { relative: 1e-5, absolute: 2e-6 * spread * Math.sqrt(chunk.C) },
        run: (kernel, { logits, targets, lse, picked, total }) =>
          kernel(logits, targets, lse, picked, total, { offset: chunk.offset }),
      }),
    ),
  ),
);

export const crossEntropyGrad: readonly ConformanceCase[] = FLOATS.flatMap((dtype) =>
  chunksOf(dtype).flatMap((chunk) =>
    [0, 0.1].map((labelSmoothing) =>
      defineCase('crossEntropyGrad', {
        label: `[${chunk.R}, ${chunk.C}] at ${chunk.offset} of ${chunk.vocabulary}, smoothing ${labelSmoothing}`,
        dtype,
        operands: {
          logits: input([chunk.R, chunk.C], dtype, uniform(-4, 4)),
          targets: input([chunk.R], 'int32', targetIds(chunk)),
          lse: input([chunk.R], 'float32', uniform(4, 5)),
          scale: input([chunk.R], 'float32', cycle(0.5, 0, 0.25)),
          dlogits: output([chunk.R, chunk.C], dtype),
        },
        run: (kernel, { logits, targets, lse, scale, dlogits }) =>
          kernel(logits, targets, lse, scale, dlogits, { offset: chunk.offset, labelSmoothing, vocabulary: chunk.vocabulary }),
      }),
    ),
  ),
);
