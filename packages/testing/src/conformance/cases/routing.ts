// Cases of the routing primitives: thresholdSelect, combineExperts, combineExpertsGrad.
import { hostPermutation, hostUniform, type FloatDType, type RandomKey } from '@xmoe/core';
import { defineCase, FLOATS, input, output, sumTolerance, type ConformanceCase, type OperandSpec } from '../case.js';
import { coin, cycle, uniform } from '../data.js';

interface ThresholdCase {
  readonly T: number;
  readonly N: number;
  /** Default: N. */
  readonly K?: number;
  readonly threshold: number;
  readonly dtype?: FloatDType;
  /** The chance of a token to be real. Default: no mask. */
  readonly real?: number;
  /** The threshold is in a tensor. */
  readonly onDevice?: boolean;
}

function thresholdCase({ T, N, K = N, threshold, dtype = 'float32', real, onDevice = false }: ThresholdCase): ConformanceCase {
  return defineCase('thresholdSelect', {
    label: `${K} of [${T}, ${N}] at ${threshold}${onDevice ? ' of a tensor' : ''}${real === undefined ? '' : ', masked'}`,
    dtype,
    operands: {
      logits: input([T, N], dtype, uniform(-3, 3)),
      p: input([T, N], dtype, uniform(0, 1)),
      mask: input([T], 'bool', coin(real ?? 1)),
      t: input([1], 'float32', cycle(threshold)),
      values: output([T, K], 'float32'),
      indices: output([T, K], 'int32'),
      counts: output([T], 'int32'),
    },
    tolerance: 'exact',
    prepare: (kernels, { logits, p }) => kernels.softmax({ x: logits }, { out: p }),
    run: (kernel, { p, mask, t, values, indices, counts }) => kernel(
      { p, mask: real === undefined ? null : mask, threshold: onDevice ? t : null },
      { values, indices, counts }, { threshold: onDevice ? NaN : threshold },
    ),
  });
}

/** Equal probabilities: ties to the lowest id, and ⌈t·N⌉ experts. */
function equalThresholdCase(N: number, threshold: number): ConformanceCase {
  return defineCase('thresholdSelect', {
    label: `equal [5, ${N}] at ${threshold}`,
    operands: {
      logits: input([5, N], 'float32', cycle(0.5)),
      p: input([5, N], 'float32', cycle(0)),
      values: output([5, N], 'float32'),
      indices: output([5, N], 'int32'),
      counts: output([5], 'int32'),
    },
    tolerance: 'exact',
    prepare: (kernels, { logits, p }) => kernels.softmax({ x: logits }, { out: p }),
    run: (kernel, { p, values, indices, counts }) => kernel({ p, mask: null, threshold: null }, { values, indices, counts }, { threshold }),
  });
}

/** p that is no probability: NaN and numbers below 0 count nothing, numbers above 1 count 1. */
function oddThresholdCase(threshold: number): ConformanceCase {
  return defineCase('thresholdSelect', {
    label: `what is no probability, at ${threshold}`,
    operands: {
      p: input([5, 4], 'float32', cycle(NaN, 0.25, 0.5, -1, NaN, NaN, NaN, NaN, Infinity, 0.1, 3, 0, 0.3, NaN, 0.3, 0.3, 1, 1, 1, 1)),
      values: output([5, 4], 'float32'),
      indices: output([5, 4], 'int32'),
      counts: output([5], 'int32'),
    },
    tolerance: 'exact',
    run: (kernel, { p, values, indices, counts }) => kernel({ p, mask: null, threshold: null }, { values, indices, counts }, { threshold }),
  });
}

export const thresholdSelect: readonly ConformanceCase[] = [
  ...[-1, 0, 0.5, 0.9, 0.999, 1, 1.5].map((threshold) => thresholdCase({ T: 13, N: 7, threshold })),
  ...[0.5, 0.9, 1].map((threshold) => thresholdCase({ T: 13, N: 8, threshold, dtype: 'float16' })),
  thresholdCase({ T: 29, N: 64, threshold: 0.9 }),
  thresholdCase({ T: 1, N: 1, threshold: 0.9 }),
  thresholdCase({ T: 0, N: 4, threshold: 0.9 }),
  thresholdCase({ T: 65537, N: 3, threshold: 0.9 }),
  ...[1, 2, 5].flatMap((K) => [0.3, 0.9, 1].map((threshold) => thresholdCase({ T: 13, N: 7, K, threshold }))),
  thresholdCase({ T: 5, N: 4, K: 0, threshold: 0.9 }),
  thresholdCase({ T: 17, N: 300, K: 20, threshold: 0.9 }),
  thresholdCase({ T: 17, N: 300, K: 4, threshold: 0.05 }),
  thresholdCase({ T: 9, N: 256, threshold: 0.9, real: 0.7 }),
  thresholdCase({ T: 9, N: 300, K: 300, threshold: 0.9, real: 0.7, dtype: 'float16' }),
  ...[0.5, 1].map((threshold) => thresholdCase({ T: 31, N: 6, threshold, real: 0.6 })),
  thresholdCase({ T: 31, N: 6, K: 3, threshold: 0.9, real: 0.6, dtype: 'float16' }),
  thresholdCase({ T: 3, N: 4, threshold: 0.9, real: 0 }),
  // The threshold as a tensor: ends, both sides of whole units, rows that are ranked, cut and sorted.
  ...[-1, 0, 2 ** -33, 0.001, 0.3, 0.9, 1, 1.5].map((threshold) => thresholdCase({ T: 13, N: 7, threshold, onDevice: true })),
  thresholdCase({ T: 31, N: 6, K: 3, threshold: 0.7, real: 0.6, onDevice: true }),
  thresholdCase({ T: 9, N: 300, K: 300, threshold: 0.9, real: 0.7, onDevice: true }),
  ...[0.1, 0.25, 0.5, 0.75, 0.9].map((threshold) => equalThresholdCase(8, threshold)),
  // Where running sums in float32 take one too many.
  ...([[225, 0.8], [230, 0.9], [192, 166 / 192], [288, 0.75], [1000, 0.9], [1024, 1023 / 1024]] as const).map(([N, threshold]) => equalThresholdCase(N, threshold)),
  ...[-1, 0.5, 0.9, 1].map((threshold) => oddThresholdCase(threshold)),
];

export interface Plan {
  readonly claimRow: Int32Array;
  readonly rowClaim: Int32Array;
}

/** Gives random claims of T·K distinct rows of R, some claims and some rows left out. */
export function createPlan(T: number, K: number, R: number, key: RandomKey): Plan {
  const claimRow = new Int32Array(T * K).fill(-1);
  const rowClaim = new Int32Array(R).fill(-1);
  const claims = hostPermutation(key, T * K);
  const dropped = hostUniform(key, Math.min(T * K, R), 1);
  for (let row = 0; row < dropped.length; row++) {
    if (dropped[row] < 0.2) continue;
    claimRow[claims[row]] = row;
    rowClaim[row] = claims[row];
  }
  return { claimRow, rowClaim };
}

type Sizes = readonly [T: number, K: number, R: number, D: number];

const SIZES: readonly Sizes[] = [
  [7, 3, 21, 5], [7, 3, 13, 5], [5, 2, 16, 3], [1, 1, 1, 1], [0, 2, 4, 3], [4, 2, 0, 3], [257, 4, 900, 16], [9, 40, 300, 260], [65537, 1, 65537, 2],
];

function inputsOf([T, K, R, D]: Sizes, dtype: FloatDType): Record<string, OperandSpec> {
  const plan = createPlan(T, K, R, [T, R]);
  return {
    expertOut: input([R, D], dtype, uniform(-1, 1)),
    weights: input([T, K], 'float32', uniform(0, 1)),
    claimRow: input([T, K], 'int32', () => plan.claimRow),
    rowClaim: input([R], 'int32', () => plan.rowClaim),
  };
}

function labelOf([T, K, R, D]: Sizes): string {
  return `[${R}, ${D}] for ${K} claims of ${T} tokens`;
}

function sizesOf(dtype: FloatDType): readonly Sizes[] {
  return dtype === 'float16' ? SIZES.slice(0, 3).concat([[5, 12, 50, 260]]) : SIZES;
}

export const combineExperts: readonly ConformanceCase[] = FLOATS.flatMap((dtype) =>
  sizesOf(dtype).map((sizes) => {
    const operands: Record<string, OperandSpec> = { ...inputsOf(sizes, dtype), out: output([sizes[0], sizes[3]], dtype) };
    return defineCase('combineExperts', {
      label: labelOf(sizes),
      dtype,
      operands,
      tolerance: sumTolerance(dtype, sizes[1]),
      run: (kernel, { expertOut, weights, claimRow, rowClaim, out }) => kernel({ expertOut, weights, claimRow, rowClaim }, { out }),
    });
  }),
);

export const combineExpertsGrad: readonly ConformanceCase[] = FLOATS.flatMap((dtype) =>
  sizesOf(dtype).map((sizes) => {
    const [T, K, R, D] = sizes;
    const operands: Record<string, OperandSpec> = {
      ...inputsOf(sizes, dtype),
      dy: input([T, D], dtype, uniform(-1, 1)),
      dExpertOut: output([R, D], dtype),
      dWeights: output([T, K], 'float32'),
    };
    return defineCase('combineExpertsGrad', {
      label: labelOf(sizes),
      dtype,
      operands,
      tolerance: sumTolerance(dtype, D),
      run: (kernel, { expertOut, weights, claimRow, rowClaim, dy, dExpertOut, dWeights }) =>
        kernel({ expertOut, weights, claimRow, rowClaim, dy }, { dExpertOut, dWeights }),
    });
  }),
);
