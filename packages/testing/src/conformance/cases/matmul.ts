// Cases of the matrix products: matmul, groupedMatmul, groupedMatmulWeightGrad.
import type { FloatDType } from '@xmoe/core';
import { defineCase, FLOATS, input, output, sumTolerance, type ConformanceCase } from '../case.js';
import { cycle, uniform } from '../data.js';

/** [B, M, K, N]. */
type Sizes = readonly [number, number, number, number];

function matmulCase(
  [B, M, K, N]: Sizes, transposeA: boolean, transposeB: boolean,
  dtype: FloatDType = 'float32', batchB = B, outDType: FloatDType = dtype,
): ConformanceCase {
  return defineCase('matmul', {
    label: `[${B}, ${M}, ${K}]${transposeA ? 'ᵀ' : ''} × [${batchB}, ${K}, ${N}]${transposeB ? 'ᵀ' : ''} in ${dtype} to`,
    dtype: outDType,
    operands: {
      a: input(transposeA ? [B, K, M] : [B, M, K], dtype, uniform(-1, 1)),
      b: input(transposeB ? [batchB, N, K] : [batchB, K, N], dtype, uniform(-1, 1)),
      out: output([B, M, N], outDType),
    },
    tolerance: sumTolerance(outDType, K),
    run: (kernel, { a, b, out }) => kernel({ a, b }, { out }, { transposeA, transposeB }),
  });
}

const FLAGS = [[false, false], [true, false], [false, true], [true, true]] as const;

export const matmul: readonly ConformanceCase[] = [
  ...FLAGS.flatMap(([transposeA, transposeB]) => [
    matmulCase([2, 33, 17, 29], transposeA, transposeB),
    matmulCase([1, 7, 13, 5], transposeA, transposeB),
    matmulCase([3, 5, 7, 11], transposeA, transposeB, 'float32', 1),
    matmulCase([2, 9, 16, 7], transposeA, transposeB, 'float16'),
    matmulCase([2, 9, 16, 7], transposeA, transposeB, 'float16', 2, 'float32'),
    matmulCase([1, 67, 129, 131], transposeA, transposeB),
  ]),
  ...([[1, 1, 1, 1], [3, 5, 0, 4], [1, 0, 3, 4], [2, 4, 3, 0], [0, 2, 2, 2], [1, 1, 1009, 1], [1, 5, 3001, 2]] as const).map((sizes) =>
    matmulCase(sizes, false, false),
  ),
  matmulCase([0, 2, 2, 2], false, false, 'float32', 1),
  matmulCase([1, 65537, 3, 2], false, false),
  matmulCase([65537, 1, 2, 1], false, false),
  matmulCase([1, 3, 65537, 2], true, false),
];

interface Segments {
  readonly R: number;
  readonly offsets: readonly number[];
}

const SEGMENTS: readonly Segments[] = [
  { R: 13, offsets: [0, 13] },
  { R: 23, offsets: [0, 5, 5, 6, 23] },
  { R: 23, offsets: [0, 0, 7, 7, 19, 19] },
  { R: 9, offsets: [0, 0, 0] },
  { R: 0, offsets: [0, 0, 0] },
  { R: 100, offsets: [0, 1, 34, 67, 68, 99] },
];

function segmentLabel({ R, offsets }: Segments): string {
  return `[${R}] rows at ${offsets.join(' ')}`;
}

function groupedMatmulCase(segments: Segments, K: number, M: number, transposeW: boolean, dtype: FloatDType): ConformanceCase {
  const G = segments.offsets.length - 1;
  return defineCase('groupedMatmul', {
    label: `${segmentLabel(segments)}, ${K} to ${M}${transposeW ? ', Wᵀ' : ''}`,
    dtype,
    operands: {
      x: input([segments.R, K], dtype, uniform(-1, 1)),
      w: input(transposeW ? [G, M, K] : [G, K, M], dtype, uniform(-1, 1)),
      offsets: input([G + 1], 'int32', cycle(...segments.offsets)),
      out: output([segments.R, M], dtype),
    },
    tolerance: sumTolerance(dtype, K),
    run: (kernel, { x, w, offsets, out }) => kernel({ x, w, offsets }, { out }, { transposeW }),
  });
}

export const groupedMatmul: readonly ConformanceCase[] = [
  ...SEGMENTS.flatMap((segments) =>
    FLOATS.flatMap((dtype) => [false, true].map((transposeW) => groupedMatmulCase(segments, 7, 11, transposeW, dtype))),
  ),
  ...[false, true].map((transposeW) => groupedMatmulCase({ R: 150, offsets: [0, 3, 70, 131] }, 67, 43, transposeW, 'float32')),
  groupedMatmulCase({ R: 65537, offsets: [0, 30000, 65536] }, 3, 2, false, 'float32'),
  groupedMatmulCase({ R: 5, offsets: [0, 2, 4] }, 0, 3, false, 'float32'),
];

function weightGradCase(segments: Segments, K: number, M: number, dtype: FloatDType): ConformanceCase {
  const G = segments.offsets.length - 1;
  return defineCase('groupedMatmulWeightGrad', {
    label: `${segmentLabel(segments)}, ${K} by ${M}`,
    dtype,
    operands: {
      x: input([segments.R, K], dtype, uniform(-1, 1)),
      dy: input([segments.R, M], dtype, uniform(-1, 1)),
      offsets: input([G + 1], 'int32', cycle(...segments.offsets)),
      out: output([G, K, M], dtype),
    },
    tolerance: sumTolerance(dtype, segments.R),
    run: (kernel, { x, dy, offsets, out }) => kernel({ x, dy, offsets }, { out }),
  });
}

export const groupedMatmulWeightGrad: readonly ConformanceCase[] = [
  ...SEGMENTS.flatMap((segments) => FLOATS.map((dtype) => weightGradCase(segments, 7, 11, dtype))),
  weightGradCase({ R: 150, offsets: [0, 3, 70, 131] }, 67, 43, 'float32'),
  weightGradCase({ R: 65537, offsets: [0, 30000, 65536] }, 3, 2, 'float32'),
];
