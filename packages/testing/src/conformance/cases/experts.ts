// Cases of the experts over dispatched rows: groupedLinear, groupedLinearWeightGrad, expertsGrad.
import type { Activation, FloatDType } from '@xmoe/core';
import { defineCase, FLOATS, input, output, sumTolerance, type ConformanceCase } from '../case.js';
import { cycle, integers, uniform, type DataGenerator } from '../data.js';
import { createPlan } from './routing.js';

/** Offsets of the segments; the rows after the last belong to none. */
interface Segments {
  readonly note: string;
  readonly offsets: readonly number[];
  readonly R: number;
}

const RAGGED: Segments = { note: 'ragged', offsets: [0, 5, 5, 18, 19], R: 23 };
const SEGMENTS: readonly Segments[] = [
  RAGGED,
  { note: 'one segment', offsets: [0, 13], R: 13 },
  { note: 'all rows in the last', offsets: [0, 0, 0, 17], R: 17 },
  { note: 'all empty', offsets: [0, 0, 0], R: 7 },
  { note: 'no rows', offsets: [0, 0, 0], R: 0 },
];

interface LinearCase {
  readonly segments: Segments;
  readonly sizes?: readonly [K: number, M: number];
  /** Rows of x, with indices into it; absent: row r is x[r]. */
  readonly gathered?: number;
  readonly bias?: boolean;
  readonly pre?: boolean;
  readonly transposeW?: boolean;
  readonly activation?: Activation;
  readonly dtype?: FloatDType;
  readonly biasDType?: FloatDType;
}

/** One below 0 and one beyond the end among the indices. */
const indicesInto = (count: number): DataGenerator => integers(-1, count);

function linearCase(definition: LinearCase): ConformanceCase {
  const { segments, sizes = [7, 5], gathered, bias = false, pre = false, transposeW = false, activation = 'none', dtype = 'float32' } = definition;
  const { biasDType = 'float32' } = definition;
  const { note, offsets, R } = segments;
  const [K, M] = sizes;
  const G = offsets.length - 1;
  const X = gathered ?? R;
  const details = [note, gathered === undefined ? '' : `from ${X} rows`, bias ? `bias ${biasDType}` : '', pre ? 'pre' : '', transposeW ? 'W transposed' : '', activation];
  return defineCase('groupedLinear', {
    label: `[${R}, ${K}] × [${G}, ${K}, ${M}], ${details.filter(Boolean).join(', ')}`,
    dtype,
    operands: {
      x: input([X, K], dtype, uniform(-1, 1)),
      rows: input([R], 'int32', indicesInto(X)),
      w: input(transposeW ? [G, M, K] : [G, K, M], dtype, uniform(-1, 1)),
      bias: input([G, M], biasDType, uniform(-1, 1)),
      offsets: input([G + 1], 'int32', cycle(...offsets)),
      out: output([R, M], dtype),
      pre: output(pre ? [R, M] : [0], dtype),
    },
    tolerance: sumTolerance(dtype, K + 1),
    run: (kernel, operands) =>
      kernel(
        { x: operands.x, rows: gathered === undefined ? null : operands.rows, w: operands.w, bias: bias ? operands.bias : null, offsets: operands.offsets },
        { out: operands.out, pre: pre ? operands.pre : null }, { transposeW, activation },
      ),
  });
}

const ACTIVATIONS: readonly Activation[] = ['none', 'relu', 'gelu-tanh', 'gelu-erf'];

export const groupedLinear: readonly ConformanceCase[] = [
  ...FLOATS.flatMap((dtype) => [
    ...ACTIVATIONS.map((activation) => linearCase({ segments: RAGGED, gathered: 11, bias: true, pre: true, activation, dtype })),
    linearCase({ segments: RAGGED, bias: true, activation: 'gelu-tanh', dtype, biasDType: dtype }),
    linearCase({ segments: RAGGED, gathered: 11, transposeW: true, dtype }),
    linearCase({ segments: RAGGED, gathered: 11, bias: true, dtype }),
    linearCase({ segments: RAGGED, pre: true, activation: 'relu', dtype }),
  ]),
  ...SEGMENTS.flatMap((segments) => [
    linearCase({ segments, bias: true }),
    linearCase({ segments, gathered: 4, bias: true, pre: true, activation: 'gelu-erf' }),
    linearCase({ segments, transposeW: true }),
  ]),
  linearCase({ segments: RAGGED, sizes: [0, 3], gathered: 11, bias: true, pre: true, activation: 'gelu-tanh' }),
  linearCase({ segments: RAGGED, sizes: [3, 0], gathered: 11, bias: true, pre: true }),
  linearCase({ segments: RAGGED, sizes: [1, 1], gathered: 11, bias: true }),
  linearCase({ segments: RAGGED, gathered: 0, bias: true, pre: true, activation: 'relu' }),
  ...[false, true].map((transposeW) =>
    linearCase({
      segments: { note: 'wide', offsets: [0, 37, 129, 129, 300], R: 311 }, sizes: [67, 129], gathered: 150, bias: true, pre: true, transposeW, activation: 'gelu-tanh',
    }),
  ),
  linearCase({ segments: { note: 'many rows', offsets: [0, 65000, 65000, 65537], R: 65539 }, sizes: [2, 3], gathered: 1009, bias: true, activation: 'relu' }),
  linearCase({ segments: { note: 'many segments', offsets: Array.from({ length: 301 }, (_, g) => Math.floor(g / 2)), R: 151 }, sizes: [3, 4], gathered: 9, bias: true }),
];

interface WeightGradCase {
  readonly segments: Segments;
  readonly sizes?: readonly [K: number, M: number];
  /** Rows of x and of dy, with indices into them. */
  readonly xCount?: number;
  readonly yCount?: number;
  readonly scaled?: boolean;
  readonly bias?: FloatDType;
  readonly dtype?: FloatDType;
  readonly gradDType?: FloatDType;
}

function weightGradCase({ segments, sizes = [7, 5], xCount, yCount, scaled = false, bias, dtype = 'float32', gradDType = 'float32' }: WeightGradCase): ConformanceCase {
  const { note, offsets, R } = segments;
  const [K, M] = sizes;
  const G = offsets.length - 1;
  const [X, Y] = [xCount ?? R, yCount ?? R];
  const details = [note, xCount === undefined ? '' : `x of ${X} rows`, yCount === undefined ? '' : `dy of ${Y} rows`, scaled ? 'scaled' : '', bias ? `dbias ${bias}` : '', `dw ${gradDType}`];
  return defineCase('groupedLinearWeightGrad', {
    label: `[${R}, ${K}]ᵀ × [${R}, ${M}] in ${G}, ${details.filter(Boolean).join(', ')}`,
    dtype,
    operands: {
      x: input([X, K], dtype, uniform(-1, 1)),
      xRows: input([R], 'int32', indicesInto(X)),
      dy: input([Y, M], dtype, uniform(-1, 1)),
      dyRows: input([R], 'int32', indicesInto(Y)),
      scale: input([R], 'float32', uniform(0, 1)),
      offsets: input([G + 1], 'int32', cycle(...offsets)),
      dw: output([G, K, M], gradDType),
      dbias: output(bias ? [G, M] : [0], bias ?? 'float32'),
    },
    tolerance: sumTolerance(dtype, R),
    run: (kernel, operands) =>
      kernel(
        { x: operands.x, xRows: xCount === undefined ? null : operands.xRows, dy: operands.dy, dyRows: yCount === undefined ? null : operands.dyRows,
        scale: scaled ? operands.scale : null, offsets: operands.offsets }, { dw: operands.dw, dbias: bias ? operands.dbias : null },
      ),
  });
}

export const groupedLinearWeightGrad: readonly ConformanceCase[] = [
  ...FLOATS.flatMap((dtype) => [
    weightGradCase({ segments: RAGGED, yCount: 11, scaled: true, bias: 'float32', dtype }),
    weightGradCase({ segments: RAGGED, xCount: 11, bias: dtype, dtype, gradDType: dtype }),
    weightGradCase({ segments: RAGGED, xCount: 9, yCount: 4, scaled: true, bias: 'float32', dtype }),
    weightGradCase({ segments: RAGGED, dtype }),
  ]),
  ...SEGMENTS.flatMap((segments) => [
    weightGradCase({ segments, bias: 'float32' }),
    weightGradCase({ segments, xCount: 5, yCount: 4, scaled: true, bias: 'float32' }),
  ]),
  weightGradCase({ segments: RAGGED, sizes: [0, 3], bias: 'float32' }),
  weightGradCase({ segments: RAGGED, sizes: [3, 0], bias: 'float32' }),
  weightGradCase({ segments: RAGGED, sizes: [1, 1], xCount: 3, scaled: true, bias: 'float32' }),
  weightGradCase({ segments: { note: 'wide', offsets: [0, 37, 129, 129, 300], R: 311 }, sizes: [67, 129], xCount: 150, yCount: 140, scaled: true, bias: 'float32' }),
  weightGradCase({ segments: { note: 'many rows', offsets: [0, 65000, 65000, 65537], R: 65539 }, sizes: [2, 3], xCount: 1009, yCount: 1013, scaled: true, bias: 'float32' }),
];

interface GradCase {
  readonly T: number;
  readonly K: number;
  readonly S: number;
  readonly D: number;
  readonly offsets: readonly number[];
  /** Rows after the last segment. Default 0. */
  readonly extra?: number;
  readonly activation?: Activation;
  readonly dtype?: FloatDType;
  readonly b2DType?: FloatDType;
  readonly weightGradient?: boolean;
}

function expertsGradCase({ T, K, S, D, offsets, extra = 0, activation = 'gelu-tanh', dtype = 'float32', b2DType = 'float32', weightGradient = true }: GradCase): ConformanceCase {
  const used = offsets[offsets.length - 1]!;
  const [G, R] = [offsets.length - 1, used + extra];
  const plan = createPlan(T, K, used, [T, used]);
  const rowClaim = [...plan.rowClaim, ...new Array<number>(extra).fill(-1)];
  return defineCase('expertsGrad', {
    label: `[${R}, ${S}] in ${G} for ${K} claims of [${T}, ${D}], ${activation}, b2 ${b2DType}${weightGradient ? '' : ', no dWeights'}`,
    dtype,
    operands: {
      pre: input([R, S], dtype, uniform(-3, 3)),
      dHidden: input([R, S], dtype, uniform(-1, 1)),
      weights: input([T, K], 'float32', uniform(0, 1)),
      b2: input([G, D], b2DType, uniform(-1, 1)),
      dy: input([T, D], dtype, uniform(-1, 1)),
      rowClaim: input([R], 'int32', () => rowClaim),
      claimRow: input([T, K], 'int32', () => plan.claimRow),
      offsets: input([G + 1], 'int32', cycle(...offsets)),
      dPre: output([R, S], dtype),
      hidden: output([R, S], dtype),
      dWeights: output(weightGradient ? [T, K] : [0], 'float32'),
      rowWeight: output([R], 'float32'),
    },
    tolerance: sumTolerance(dtype, 3 * S + D),
    run: (kernel, o) =>
      kernel(
        { pre: o.pre, dHidden: o.dHidden, weights: o.weights, b2: o.b2, dy: o.dy, rowClaim: o.rowClaim, claimRow: o.claimRow, offsets: o.offsets },
        { dPre: o.dPre, hidden: o.hidden, dWeights: weightGradient ? o.dWeights : null, rowWeight: o.rowWeight }, { activation },
      ),
  });
}

const some = { T: 9, K: 3, S: 5, D: 4, offsets: [0, 6, 6, 17, 19], extra: 4 };

export const expertsGrad: readonly ConformanceCase[] = [
  ...FLOATS.flatMap((dtype) => [
    ...ACTIVATIONS.map((activation) => expertsGradCase({ ...some, activation, dtype })),
    expertsGradCase({ ...some, dtype, b2DType: dtype, offsets: [0, 3, 27], extra: 0 }),
    expertsGradCase({ ...some, dtype, weightGradient: false }),
  ]),
  expertsGradCase({ ...some, offsets: [0, 27], extra: 0 }),
  expertsGradCase({ ...some, offsets: [0, 0, 0], extra: 5 }),
  expertsGradCase({ ...some, offsets: [0, 0], extra: 0 }),
  expertsGradCase({ ...some, T: 1, K: 1, S: 1, D: 1, offsets: [0, 1], extra: 0 }),
  expertsGradCase({ ...some, T: 0, offsets: [0, 3, 5], extra: 0 }),
  expertsGradCase({ ...some, K: 0, offsets: [0, 3], extra: 0 }),
  expertsGradCase({ ...some, S: 0 }),
  expertsGradCase({ ...some, D: 0 }),
  expertsGradCase({ T: 257, K: 4, S: 67, D: 33, offsets: [0, 100, 100, 611, 900], extra: 100, activation: 'gelu-erf' }),
  expertsGradCase({ T: 65537, K: 1, S: 2, D: 3, offsets: [0, 65000, 65537], activation: 'relu' }),
];
