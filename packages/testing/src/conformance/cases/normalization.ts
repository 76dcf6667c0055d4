// Cases of layerNorm and layerNormGrad.
import type { FloatDType, Kernels, Operand } from '@xmoe/core';
import { defineCase, FLOATS, input, output, shapeLabel, sumTolerance, type ConformanceCase, type OperandSpec } from '../case.js';
import { cycle, uniform, type DataGenerator } from '../data.js';

const SHAPES = [[1, 1], [7, 13], [0, 5], [3, 768], [65537, 3], [2, 2051]] as const;
const EPSILON = 1e-5;

/** Rounding of x is magnified by rstd: rows far from zero lose digits. */
function looser(dtype: FloatDType, factor: number): ConformanceCase['tolerance'] {
  return dtype === 'float16' ? { relative: 4e-3, absolute: 4e-3 } : { relative: 2e-5 * factor, absolute: 1e-5 * factor };
}

function layerNormCase(shape: readonly number[], dtype: FloatDType, data: DataGenerator, note: string, factor = 1): ConformanceCase {
  const [R, D] = shape;
  return defineCase('layerNorm', {
    label: `${shapeLabel(shape)} ${note}`,
    dtype,
    operands: {
      x: input(shape, dtype, data),
      gamma: input([D], 'float32', uniform(0.5, 1.5)),
      beta: input([D], 'float32', uniform(-1, 1)),
      out: output(shape, dtype),
      mean: output([R], 'float32'),
      rstd: output([R], 'float32'),
    },
    tolerance: looser(dtype, factor),
    run: (kernel, { x, gamma, beta, out, mean, rstd }) => kernel({ x, gamma, beta }, { out, mean, rstd }, { epsilon: EPSILON }),
  });
}

/** `origin` and up to five steps of ⅛ above or below. */
function stepsFrom(origin: number): DataGenerator {
  return (length) => Float64Array.from({ length }, (_, i) => origin + (((i * 37) % 11) - 5) / 8);
}

export const layerNorm: readonly ConformanceCase[] = [
  ...SHAPES.slice(1).map((shape) => layerNormCase(shape, 'float32', uniform(-2, 2), 'any', shape[1] === 3 ? 20 : 1)),
  layerNormCase([7, 13], 'float16', uniform(-2, 2), 'any'),
  layerNormCase([5, 64], 'float16', uniform(-2, 2), 'any'),
  layerNormCase([1, 1], 'float32', cycle(0.5), 'of one'),
  layerNormCase([3, 8], 'float32', cycle(0.5), 'constant rows'),
  layerNormCase([5, 64], 'float32', uniform(99, 101), 'far from zero', 20),
  // The mean is a million times the deviation: of both, float32 holds the differences exactly.
  ...[[3, 193], [2, 768], [2, 2051], [7, 1]].map((shape) => layerNormCase(shape, 'float32', stepsFrom(1e6), 'very far from zero')),
];

interface GradOperands {
  x: OperandSpec; gamma: OperandSpec; mean: OperandSpec; rstd: OperandSpec; dy: OperandSpec;
  beta: OperandSpec; unused: OperandSpec; dx: OperandSpec; dgamma: OperandSpec; dbeta: OperandSpec;
}

function gradOperands(shape: readonly number[], dtype: FloatDType, data: DataGenerator): GradOperands {
  const [R, D] = shape;
  return {
    x: input(shape, dtype, data),
    gamma: input([D], 'float32', uniform(0.5, 1.5)),
    beta: input([D], 'float32', cycle(0)),
    unused: input(shape, dtype, cycle(0)),
    mean: input([R], 'float32', cycle(0)),
    rstd: input([R], 'float32', cycle(1)),
    dy: input(shape, dtype, uniform(-1, 1)),
    dx: output(shape, dtype),
    dgamma: output([D], 'float32'),
    dbeta: output([D], 'float32'),
  };
}

function prepareStatistics(kernels: Kernels, { x, gamma, beta, unused, mean, rstd }: Record<keyof GradOperands, Operand>): void {
  kernels.layerNorm({ x, gamma, beta }, { out: unused, mean, rstd }, { epsilon: 0.1 });
}

function layerNormGradCase(shape: readonly number[], dtype: FloatDType, data = uniform(-2, 2), note = ''): ConformanceCase {
  return defineCase('layerNormGrad', {
    label: `${shapeLabel(shape)}${note}`,
    dtype,
    operands: { ...gradOperands(shape, dtype, data) },
    tolerance: dtype === 'float16' ? { relative: 4e-3, absolute: 4e-3 } : sumTolerance(dtype, 30 + shape[0]),
    prepare: prepareStatistics,
    run: (kernel, { x, gamma, mean, rstd, dy, dx, dgamma, dbeta }) => kernel({ x, gamma, mean, rstd, dy }, { dx, dgamma, dbeta }),
  });
}

/** As `stepsFrom(1e6)`, one in four a step further: the mean is 1/32 more, which float32 does not hold there. */
const betweenFloats: DataGenerator = (length) => Float64Array.from({ length }, (_, i) => 1e6 + (((i * 37) % 11) - 5 + Number(i % 4 === 0)) / 8);

export const layerNormGrad: readonly ConformanceCase[] = [
  ...FLOATS.flatMap((dtype) =>
    (dtype === 'float16' ? [[7, 13], [130, 64]] : [[7, 13], [0, 5], [3, 768], [2, 2051], [1009, 5], [65537, 3]]).map((shape) => layerNormGradCase(shape, dtype)),
  ),
  ...[[3, 193], [2, 768], [2, 2051]].map((shape) => layerNormGradCase(shape, 'float32', betweenFloats, ' very far from zero')),
];
