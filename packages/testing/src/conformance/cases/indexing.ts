// Cases of the primitives that read or add at indices: gatherRows, scatterAddRows, addRows, takeAlongLast, addAlongLast.
// Index data reach outside the axis on both sides, and repeat.
import { DTYPES, type DType } from '@xmoe/core';
import { defineCase, inout, input, output, type ConformanceCase, type Tolerance } from '../case.js';
import { dyadic, integers } from '../data.js';
import { anyValues } from './movement.js';

function gatherCase(R: number, D: number, n: number, dtype: DType): ConformanceCase {
  return defineCase('gatherRows', {
    label: `${n} of [${R}, ${D}]`,
    dtype,
    operands: {
      x: input([R, D], dtype, anyValues(dtype)),
      indices: input([n], 'int32', integers(-2, R + 1)),
      out: output([n, D], dtype),
    },
    tolerance: 'exact',
    run: (kernel, { x, indices, out }) => kernel({ x, indices }, { out }),
  });
}

export const gatherRows: readonly ConformanceCase[] = [
  ...DTYPES.flatMap((dtype) => [gatherCase(13, 5, 31, dtype), gatherCase(13, 8, 31, dtype)]),
  ...[[1, 1, 1], [5, 3, 0], [0, 3, 4], [7, 0, 3], [7, 1, 65537], [65537, 2, 29], [3, 1009, 5]].map(([R, D, n]) =>
    gatherCase(R, D, n, 'float32'),
  ),
];

/** Sums of dyadic numbers are exact in float32; float16 rounds the result. */
function tolerance(dtype: DType): Tolerance {
  return dtype === 'float16' ? { relative: 2e-3, absolute: 1e-3 } : 'exact';
}

const SUMMABLE = ['float32', 'float16', 'int32'] as const;

function scatterCase(R: number, D: number, n: number, dtype: DType): ConformanceCase {
  return defineCase('scatterAddRows', {
    label: `${n} into [${R}, ${D}]`,
    dtype,
    operands: {
      x: input([n, D], dtype, dtype === 'int32' ? integers(-9, 9) : dyadic),
      indices: input([n], 'int32', integers(-2, R + 1)),
      out: output([R, D], dtype),
    },
    tolerance: tolerance(dtype),
    run: (kernel, { x, indices, out }) => kernel({ x, indices }, { out }),
  });
}

export const scatterAddRows: readonly ConformanceCase[] = [
  ...SUMMABLE.flatMap((dtype) => [scatterCase(13, 5, 31, dtype), scatterCase(13, 8, 31, dtype)]),
  // Few rows with many sources each, and many rows with few.
  scatterCase(3, 12, 1500, 'float32'),
  scatterCase(999, 68, 2003, 'float32'),
  ...[[1, 1, 1], [5, 3, 0], [0, 3, 4], [7, 0, 3], [7, 1, 4099], [65537, 2, 29], [3, 1009, 5]].map(([R, D, n]) =>
    scatterCase(R, D, n, 'float32'),
  ),
];

function addRowsCase(R: number, D: number, n: number): ConformanceCase {
  return defineCase('addRows', {
    label: `${n} onto [${R}, ${D}]`,
    operands: { x: input([n, D], 'float32', dyadic), indices: input([n], 'int32', integers(-2, R + 1)), sums: inout([R, D], 'float32', dyadic) },
    tolerance: 'exact',
    run: (kernel, { x, indices, sums }) => kernel({ x, indices }, { sums }),
  });
}

export const addRows: readonly ConformanceCase[] = [
  [13, 5, 31], [3, 12, 1500], [999, 68, 2003], [1, 1, 1], [5, 3, 0], [0, 3, 4], [7, 0, 3], [7, 1, 4099], [65537, 2, 29], [3, 1009, 5],
].map(([R, D, n]) => addRowsCase(R, D, n));

function takeCase(R: number, C: number, k: number, dtype: DType): ConformanceCase {
  return defineCase('takeAlongLast', {
    label: `${k} of each row of [${R}, ${C}]`,
    dtype,
    operands: {
      x: input([R, C], dtype, anyValues(dtype)),
      indices: input([R, k], 'int32', integers(-2, C + 1)),
      out: output([R, k], dtype),
    },
    tolerance: 'exact',
    run: (kernel, { x, indices, out }) => kernel({ x, indices }, { out }),
  });
}

const ALONG = [[1, 1, 1], [5, 7, 0], [0, 3, 4], [3, 0, 2], [65537, 3, 2], [3, 1009, 50]] as const;

export const takeAlongLast: readonly ConformanceCase[] = [
  ...SUMMABLE.map((dtype) => takeCase(13, 5, 7, dtype)),
  ...ALONG.map(([R, C, k]) => takeCase(R, C, k, 'float32')),
];

function addCase(R: number, C: number, k: number, dtype: DType): ConformanceCase {
  return defineCase('addAlongLast', {
    label: `${k} into each row of [${R}, ${C}]`,
    dtype,
    operands: {
      x: input([R, k], dtype, dtype === 'int32' ? integers(-9, 9) : dyadic),
      indices: input([R, k], 'int32', integers(-2, C + 1)),
      out: output([R, C], dtype),
    },
    tolerance: tolerance(dtype),
    run: (kernel, { x, indices, out }) => kernel({ x, indices }, { out }),
  });
}

export const addAlongLast: readonly ConformanceCase[] = [
  ...SUMMABLE.map((dtype) => addCase(13, 5, 7, dtype)),
  ...ALONG.map(([R, C, k]) => addCase(R, C, k, 'float32')),
];
