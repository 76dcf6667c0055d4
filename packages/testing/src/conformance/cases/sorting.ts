// Cases of the primitives that order: topK, sortByKey. Ties are frequent: the lowest index must win.
import type { DType } from '@xmoe/core';
import { defineCase, FLOATS, input, output, type ConformanceCase } from '../case.js';
import { cycle, integers, replaced, signedWords, uniform, type DataGenerator } from '../data.js';

function topKCase(R: number, C: number, k: number, dtype: DType, data: DataGenerator, note: string): ConformanceCase {
  return defineCase('topK', {
    label: `${k} of [${R}, ${C}], ${note}`,
    dtype,
    operands: {
      x: input([R, C], dtype, data),
      values: output([R, k], dtype),
      indices: output([R, k], 'int32'),
    },
    tolerance: 'exact',
    run: (kernel, { x, values, indices }) => kernel({ x }, { values, indices }),
  });
}

export const topK: readonly ConformanceCase[] = [
  ...FLOATS.flatMap((dtype) => [
    topKCase(13, 7, 3, dtype, integers(-2, 2), 'ties'),
    topKCase(13, 7, 7, dtype, uniform(-1, 1), 'all'),
  ]),
  topKCase(1, 1, 1, 'float32', uniform(-1, 1), 'one'),
  topKCase(5, 4, 0, 'float32', uniform(-1, 1), 'none'),
  topKCase(0, 4, 2, 'float32', uniform(-1, 1), 'no rows'),
  topKCase(5, 64, 1, 'float32', integers(0, 3), 'ties'),
  topKCase(7, 64, 64, 'float32', integers(0, 9), 'ties, all'),
  topKCase(3, 1009, 40, 'float32', uniform(-1, 1), 'many'),
  ...FLOATS.map((dtype) => topKCase(2, 50257, 64, dtype, uniform(-1, 1), 'of a vocabulary')),
  topKCase(3, 4099, 50, 'float32', integers(0, 40), 'long ties'),
  topKCase(3, 2003, 1500, 'float32', integers(-200, 200), 'ties, most of them'),
  topKCase(65537, 3, 2, 'float32', integers(0, 2), 'ties'),
  topKCase(5, 9, 6, 'float32', replaced(uniform(-1, 1), -Infinity, (index) => index % 2 === 0), 'half −∞'),
  ...FLOATS.flatMap((dtype) =>
    [[4, 3], [40, 20], [150, 110]].map(([C, k]) => topKCase(13, C, k, dtype, cycle(NaN, 1, 2, -Infinity, NaN, 3, Infinity), 'NaN last')),
  ),
];

function sortCase(n: number, dtype: DType, data: DataGenerator, note: string): ConformanceCase {
  return defineCase('sortByKey', {
    label: `[${n}] ${note}`,
    dtype,
    operands: { keys: input([n], dtype, data), permutation: output([n], 'int32') },
    tolerance: 'exact',
    run: (kernel, { keys, permutation }) => kernel({ keys }, { permutation }),
  });
}

export const sortByKey: readonly ConformanceCase[] = [
  ...[0, 1, 2, 13, 1009, 65537].flatMap((n) => [
    sortCase(n, 'int32', integers(-3, 5), 'with ties'),
    sortCase(n, 'float32', uniform(-1, 1), 'any'),
  ]),
  sortCase(1009, 'int32', signedWords, 'of 32 bits'),
  sortCase(1009, 'float32', integers(-2, 2), 'with ties'),
  sortCase(13, 'float32', cycle(1, -Infinity, 0, Infinity, -1e-30, 1e30), 'with infinities'),
  sortCase(301, 'float32', cycle(2, NaN, -Infinity, 0, NaN, Infinity), 'with NaN'),
  sortCase(257, 'int32', cycle(4), 'all equal'),
  ...[257, 5003].map((n) => sortCase(n, 'float32', cycle(0, 1, -0, -1, -0, 0), 'with zeros of both signs')),
  sortCase(300007, 'int32', signedWords, 'of 32 bits'),
];
