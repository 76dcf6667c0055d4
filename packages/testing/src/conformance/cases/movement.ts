// Cases of the primitives that move elements: transpose, slice, broadcast, concat. All exact, all dtypes.
import { DTYPES, type DType } from '@xmoe/core';
import { defineCase, FLOATS, input, output, shapeLabel, type ConformanceCase } from '../case.js';
import { coin, signedWords, uniform, words, type DataGenerator } from '../data.js';

/** Contents whose loss of any bit shows. */
export function anyValues(dtype: DType): DataGenerator {
  if (dtype === 'bool') return coin(0.5);
  if (dtype === 'uint32') return words;
  return dtype === 'int32' ? signedWords : uniform(-1, 1);
}

function transposeCase(shape: readonly number[], permutation: readonly number[], dtype: DType): ConformanceCase {
  return defineCase('transpose', {
    label: `${shapeLabel(shape)} to axes ${permutation.join(' ')}`,
    dtype,
    operands: { x: input(shape, dtype, anyValues(dtype)), out: output(permutation.map((axis) => shape[axis]), dtype) },
    tolerance: 'exact',
    run: (kernel, { x, out }) => kernel({ x }, { out }, { permutation }),
  });
}

export const transpose: readonly ConformanceCase[] = [
  ...DTYPES.map((dtype) => transposeCase([3, 5, 7], [2, 0, 1], dtype)),
  // Large enough for tiles, with ragged edges.
  ...FLOATS.flatMap((dtype) => [transposeCase([67, 129], [1, 0], dtype), transposeCase([3, 40, 2, 35], [2, 3, 0, 1], dtype)]),
  ...([
    [[], []], [[7], [0]], [[7, 13], [1, 0]], [[7, 13], [0, 1]], [[0, 5], [1, 0]], [[2, 3, 4, 5], [0, 2, 1, 3]],
    [[2, 3, 4, 5], [3, 1, 0, 2]], [[2, 1, 3, 2, 2], [4, 2, 0, 1, 3]], [[65537, 3], [1, 0]], [[1, 1, 1], [2, 1, 0]],
  ] as const).map(([shape, permutation]) => transposeCase(shape, permutation, 'float32')),
];

function sliceCase(shape: readonly number[], begin: readonly number[], size: readonly number[], dtype: DType): ConformanceCase {
  return defineCase('slice', {
    label: `${shapeLabel(shape)} at ${begin.join(' ')}, ${shapeLabel(size)}`,
    dtype,
    operands: { x: input(shape, dtype, anyValues(dtype)), out: output(size, dtype) },
    tolerance: 'exact',
    run: (kernel, { x, out }) => kernel({ x }, { out }, { begin }),
  });
}

export const slice: readonly ConformanceCase[] = [
  ...DTYPES.map((dtype) => sliceCase([5, 7], [1, 2], [3, 5], dtype)),
  ...([
    [[7], [0], [7]], [[7], [6], [1]], [[7], [7], [0]], [[0, 4], [0, 1], [0, 2]], [[3, 4, 5], [0, 1, 2], [3, 2, 3]],
    [[2, 3, 4, 5], [1, 0, 3, 1], [1, 3, 1, 4]], [[65537, 3], [1, 1], [65536, 2]],
  ] as const).map(([shape, begin, size]) => sliceCase(shape, begin, size, 'float32')),
];

function broadcastCase(shape: readonly number[], to: readonly number[], dtype: DType): ConformanceCase {
  return defineCase('broadcast', {
    label: `${shapeLabel(shape)} to ${shapeLabel(to)}`,
    dtype,
    operands: { x: input(shape, dtype, anyValues(dtype)), out: output(to, dtype) },
    tolerance: 'exact',
    run: (kernel, { x, out }) => kernel({ x }, { out }),
  });
}

export const broadcast: readonly ConformanceCase[] = [
  ...DTYPES.map((dtype) => broadcastCase([3, 1, 5], [3, 4, 5], dtype)),
  ...([
    [[], []], [[1], [7]], [[1], [0]], [[1, 3], [0, 3]], [[5, 1], [5, 7]], [[1, 7], [5, 7]], [[1, 3, 1, 2], [2, 3, 4, 2]],
    [[1, 1], [65537, 2]], [[65537, 1], [65537, 2]], [[3, 4], [3, 4]],
  ] as const).map(([shape, to]) => broadcastCase(shape, to, 'float32')),
];

function concatCase(shapes: readonly (readonly number[])[], axis: number, dtype: DType): ConformanceCase {
  const shape = shapes[0].map((extent, index) =>
    index === axis ? shapes.reduce((sum, one) => sum + one[axis], 0) : extent,
  );
  return defineCase('concat', {
    label: `${shapeLabel(...shapes)} along ${axis}`,
    dtype,
    operands: {
      ...Object.fromEntries(shapes.map((one, index) => [`x${index}`, input(one, dtype, anyValues(dtype))])),
      out: output(shape, dtype),
    },
    tolerance: 'exact',
    run: (kernel, operands) => {
      const named = operands as Record<string, typeof operands.out>;
      kernel({ parts: shapes.map((_, index) => named[`x${index}`]) }, { out: operands.out }, { axis });
    },
  });
}

export const concat: readonly ConformanceCase[] = [
  ...DTYPES.map((dtype) => concatCase([[2, 3], [2, 4], [2, 1]], 1, dtype)),
  concatCase([[7]], 0, 'float32'),
  concatCase([[0], [3], [0]], 0, 'float32'),
  concatCase([[0, 2], [0, 3]], 1, 'float32'),
  concatCase([[2, 3], [5, 3]], 0, 'float32'),
  concatCase([[2, 3, 4], [2, 1, 4]], 1, 'float32'),
  concatCase([[2, 3, 1], [2, 3, 5], [2, 3, 0], [2, 3, 2]], 2, 'float32'),
  concatCase([[65537, 1], [65537, 2]], 1, 'float32'),
  concatCase([[3, 4], [3, 8], [3, 12]], 1, 'float32'),
  concatCase(Array.from({ length: 20 }, (_, index) => [2, index % 4]), 1, 'float32'),
];
