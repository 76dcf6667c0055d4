// Cases of the reductions and scans: reduce, argReduce, cumsum, bincount, sumSquares.
import type { DType, Operand, ReduceOp } from '@xmoe/core';
import { defineCase, FLOATS, input, output, shapeLabel, sumTolerance, type ConformanceCase } from '../case.js';
import { cycle, dyadic, integers, uniform, type DataGenerator } from '../data.js';

type View = readonly [outer: number, size: number, inner: number];

const VIEWS: readonly View[] = [
  [1, 1, 1], [3, 7, 5], [4, 13, 1], [1, 1009, 3], [1, 3001, 1], [2, 1, 5], [0, 5, 2], [2, 5, 0], [65537, 3, 1], [1, 3, 65537], [2, 9001, 1],
];

function reduceCase(op: ReduceOp, dtype: DType, [outer, size, inner]: View, data: DataGenerator): ConformanceCase {
  return defineCase('reduce', {
    label: `${op} [${outer}, ${size}, ${inner}]`,
    dtype,
    operands: { x: input([outer, size, inner], dtype, data), out: output([outer, inner], dtype) },
    tolerance: op === 'sum' ? sumTolerance(dtype, size) : 'exact',
    run: (kernel, { x, out }) => kernel({ x }, { out }, { outer, size, inner, op }),
  });
}

const FLOATS_AND_INT32 = [...FLOATS, 'int32'] as const;

export const reduce: readonly ConformanceCase[] = (['sum', 'max', 'min'] as const).flatMap((op) => [
  ...VIEWS.map((view) => reduceCase(op, 'float32', view, uniform(-1, 1))),
  ...([[3, 0, 4], [3, 0, 1]] as const).flatMap((view) => FLOATS_AND_INT32.map((dtype) => reduceCase(op, dtype, view, cycle(0)))),
  ...([[3, 7, 5], [4, 13, 1]] as const).map((view) => reduceCase(op, 'float16', view, uniform(-1, 1))),
  ...([[3, 7, 5], [4, 1009, 1], [65537, 2, 1]] as const).map((view) => reduceCase(op, 'int32', view, integers(-1e6, 1e6))),
]);

/** NaN first, last, before an infinity, alone; one answer wherever it stands. */
const ODD_ROWS: readonly (readonly (readonly number[])[])[] = [
  [[NaN, 1, 2, 3], [1, NaN, 3, 2], [1, 2, 3, NaN], [NaN, NaN, NaN, NaN], [NaN, NaN, -Infinity, NaN]],
  [[NaN, -Infinity], [-Infinity, NaN], [NaN, Infinity], [-Infinity, -Infinity], [Infinity, Infinity]],
  [[NaN, NaN, NaN, NaN, -Infinity, NaN, -3e38, NaN, 3e38, NaN]],
  [Array.from({ length: 1009 }, (_, i) => (i % 7 === 3 ? (i * 37) % 101 : NaN))],
];

const oddArgReduce: readonly ConformanceCase[] = (['max', 'min'] as const).flatMap((op) =>
  ODD_ROWS.flatMap((rows) =>
    ([['float32', 1], ['float32', 2], ['float16', 1]] as const).map(([dtype, inner]) => {
      const [outer, size] = [rows.length, rows[0].length];
      return defineCase('argReduce', {
        label: `${op} [${outer}, ${size}, ${inner}] with NaN and infinities`,
        dtype,
        operands: {
          x: input([outer, size, inner], dtype, () => rows.flat().flatMap((value) => new Array<number>(inner).fill(value))),
          out: output([outer, inner], 'int32'),
        },
        run: (kernel, { x, out }) => kernel({ x }, { out }, { outer, size, inner, op }),
      });
    }),
  ),
);

export const argReduce: readonly ConformanceCase[] = (['max', 'min'] as const).flatMap((op) =>
  FLOATS_AND_INT32.flatMap((dtype) =>
    (dtype === 'float16' ? VIEWS.slice(0, 3) : VIEWS).map(([outer, size, inner]) =>
      defineCase('argReduce', {
        label: `${op} [${outer}, ${size}, ${inner}] with ties`,
        dtype,
        operands: { x: input([outer, size, inner], dtype, integers(-3, 3)), out: output([outer, inner], 'int32') },
        run: (kernel, { x, out }) => kernel({ x }, { out }, { outer, size, inner, op }),
      }),
    ),
  ),
).concat(oddArgReduce);

export const cumsum: readonly ConformanceCase[] = [false, true].flatMap((exclusive) =>
  [[1, 1], [0, 5], [3, 0], [7, 13], [2, 1009], [1, 65537], [65537, 3]].flatMap((shape) =>
    (['float32', 'int32'] as const).map((dtype) =>
      defineCase('cumsum', {
        label: `${shapeLabel(shape)}${exclusive ? ' exclusive' : ''}`,
        dtype,
        operands: { x: input(shape, dtype, dtype === 'int32' ? integers(-9, 9) : dyadic), out: output(shape, dtype) },
        tolerance: 'exact',
        run: (kernel, { x, out }) => kernel({ x }, { out }, { exclusive }),
      }),
    ),
  ),
).concat(
  defineCase('cumsum', {
    label: '[5, 64], rounded left to right',
    operands: { x: input([5, 64], 'float32', uniform(0, 1)), out: output([5, 64], 'float32') },
    tolerance: 'exact',
    run: (kernel, { x, out }) => kernel({ x }, { out }, { exclusive: false }),
  }),
);

export const bincount: readonly ConformanceCase[] = [[0, 4], [13, 1], [13, 0], [1009, 64], [65537, 7]].map(([n, bins]) =>
  defineCase('bincount', {
    label: `[${n}] into ${bins}`,
    dtype: 'int32',
    operands: { x: input([n], 'int32', integers(-2, bins + 1)), out: output([bins], 'int32') },
    run: (kernel, { x, out }) => kernel({ x }, { out }),
  }),
);

function listOfSquares(shapes: readonly (readonly number[])[], dtype: DType): ConformanceCase {
  const names = shapes.map((_, index) => `x${index}`);
  return defineCase('sumSquares', {
    label: `of a list of ${shapes.length}: ${shapeLabel(...shapes.slice(0, 4))}`,
    dtype,
    operands: {
      ...Object.fromEntries(shapes.map((shape, index) => [names[index], input(shape, dtype, uniform(-1, 1))])),
      out: output([1], 'float32'),
    },
    tolerance: { relative: 1e-5, absolute: 1e-6 },
    run: (kernel, operands) => {
      const named = operands as Record<string, Operand>;
      kernel({ parts: names.map((name) => named[name]) }, { out: operands.out });
    },
  });
}

export const sumSquares: readonly ConformanceCase[] = FLOATS.flatMap((dtype) =>
  [[0], [1], [7, 13], [65537]].map((shape) =>
    defineCase('sumSquares', {
      label: shapeLabel(shape),
      dtype,
      operands: { x: input(shape, dtype, uniform(-1, 1)), out: output([1], 'float32') },
      tolerance: { relative: 1e-5, absolute: 1e-6 },
      run: (kernel, { x, out }) => kernel({ parts: [x] }, { out }),
    }),
  ),
).concat(
  FLOATS.flatMap((dtype) => [listOfSquares([[3, 5], [0], [7], []], dtype), listOfSquares(Array.from({ length: 40 }, (_, index) => [index + 1]), dtype)]),
  [listOfSquares([], 'float32'), listOfSquares([[65537], [13], [40, 501]], 'float32')],
  defineCase('sumSquares', {
    label: 'an infinite gradient shows',
    operands: { x: input([13], 'float32', cycle(1, Infinity, 2)), out: output([1], 'float32') },
    run: (kernel, { x, out }) => kernel({ parts: [x] }, { out }),
  }),
);
