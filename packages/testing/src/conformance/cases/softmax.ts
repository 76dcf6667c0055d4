// Cases of softmax and softmaxGrad.
import type { FloatDType } from '@xmoe/core';
import { defineCase, FLOATS, input, output, shapeLabel, type ConformanceCase } from '../case.js';
import { cycle, distantSteps, replaced, uniform, unruly, type DataGenerator } from '../data.js';

const SHAPES = [[1, 1], [7, 13], [0, 3], [3, 1009], [65537, 2], [37, 64], [3, 4100], [2, 50257]] as const;

function softmaxCase(
  shape: readonly number[], data: DataGenerator, note: string, dtype: FloatDType, outDType = dtype,
): ConformanceCase {
  return defineCase('softmax', {
    label: `${shapeLabel(shape)} ${note}, ${dtype} to`,
    dtype: outDType,
    operands: { x: input(shape, dtype, data), out: output(shape, outDType) },
    run: (kernel, { x, out }) => kernel({ x }, { out }),
  });
}

export const softmax: readonly ConformanceCase[] = [
  ...SHAPES.map((shape) => softmaxCase(shape, uniform(-3, 3), 'any', 'float32')),
  softmaxCase([7, 13], uniform(-3, 3), 'any', 'float16'),
  softmaxCase([5, 64], uniform(-3, 3), 'any', 'float16'),
  softmaxCase([7, 13], uniform(-3, 3), 'any', 'float16', 'float32'),
  ...FLOATS.flatMap((dtype) => [
    softmaxCase([5, 8], uniform(-30000, 30000), 'large', dtype),
    softmaxCase([5, 9], replaced(uniform(-3, 3), -Infinity, (index) => index % 2 === 0), 'half −∞', dtype),
    softmaxCase([4, 3], replaced(uniform(-3, 3), -Infinity, (index) => index < 6), 'two rows of −∞', dtype),
    softmaxCase([14, 9], unruly(9), 'unruly', dtype),
    softmaxCase([14, 100], unruly(100), 'unruly', dtype),
  ]),
  softmaxCase([5, 257], distantSteps(1e8), 'near 1e8', 'float32'),
  softmaxCase([3, 5], cycle(2), 'all equal', 'float32'),
];

export const softmaxGrad: readonly ConformanceCase[] = FLOATS.flatMap((dtype) =>
  (dtype === 'float16' ? SHAPES.slice(0, 2) : SHAPES).map((shape) =>
    defineCase('softmaxGrad', {
      label: shapeLabel(shape),
      dtype,
      operands: {
        x: input(shape, dtype, uniform(-3, 3)),
        y: input(shape, dtype, uniform(0, 1)),
        dy: input(shape, dtype, uniform(-1, 1)),
        dx: output(shape, dtype),
      },
      prepare: (kernels, { x, y }) => kernels.softmax({ x }, { out: y }),
      run: (kernel, { y, dy, dx }) => kernel({ y, dy }, { dx }),
    }),
  ),
);
