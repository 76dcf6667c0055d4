// Cases of the primitives that broadcast: binary, compare, select.
import { DTYPES, type BinaryOp, type CompareOp, type DType } from '@xmoe/core';
import { defineCase, FLOATS, input, output, shapeLabel, type ConformanceCase } from '../case.js';
import { coin, integers, uniform, type DataGenerator } from '../data.js';

type Pair = readonly [readonly number[], readonly number[]];

const SHAPES: readonly Pair[] = [
  [[], []],
  [[0], [1]],
  [[0, 3], [1, 3]],
  [[13], [1]],
  [[1], [13]],
  [[5, 7], [1, 7]],
  [[5, 7], [5, 1]],
  [[5, 1], [1, 7]],
  [[3, 1, 7], [1, 4, 7]],
  [[2, 3, 1, 5], [2, 1, 4, 1]],
  [[1, 3, 1, 2, 1], [2, 1, 2, 1, 3]],
  [[65537, 2], [1, 2]],
  [[65537, 1], [65537, 2]],
];

function broadcastOf([a, b]: Pair): number[] {
  return a.map((extent, axis) => (extent === 1 ? b[axis] : extent));
}

function binaryCase(op: BinaryOp, dtype: DType, shapes: Pair, a: DataGenerator, b: DataGenerator): ConformanceCase {
  return defineCase('binary', {
    label: `${op} ${shapeLabel(...shapes)}`,
    dtype,
    operands: { a: input(shapes[0], dtype, a), b: input(shapes[1], dtype, b), out: output(broadcastOf(shapes), dtype) },
    run: (kernel, { a, b, out }) => kernel({ a, b }, { out }, { op }),
  });
}

const FLOAT_BINARY: Partial<Record<BinaryOp, DataGenerator>> = {
  add: uniform(-9, 9),
  subtract: uniform(-9, 9),
  multiply: uniform(-9, 9),
  divide: uniform(0.5, 9),
  maximum: uniform(-9, 9),
  minimum: uniform(-9, 9),
  power: uniform(0.1, 3),
};

const SAME: Pair = [[7, 13], [7, 13]];

export const binary: readonly ConformanceCase[] = [
  ...Object.entries(FLOAT_BINARY).flatMap(([op, data]) =>
    FLOATS.flatMap((dtype) =>
      ([SAME, [[3, 1, 5], [1, 4, 5]]] as const).map((shapes) => binaryCase(op as BinaryOp, dtype, shapes, data, data)),
    ),
  ),
  ...SHAPES.map((shapes) => binaryCase('subtract', 'float32', shapes, uniform(-9, 9), uniform(-9, 9))),
  ...(['add', 'subtract', 'maximum', 'minimum'] as const).map((op) =>
    binaryCase(op, 'int32', SAME, integers(-1e9, 1e9), integers(-1e9, 1e9)),
  ),
  binaryCase('multiply', 'int32', SAME, integers(-40000, 40000), integers(-40000, 40000)),
  ...(['floorDivide', 'remainder'] as const).flatMap((op) => [
    binaryCase(op, 'int32', SAME, integers(-1000, 1000), integers(1, 7)),
    binaryCase(op, 'int32', [[7, 13], [1, 1]], integers(-1e9, 1e9), integers(64, 64)),
    binaryCase(op, 'uint32', SAME, integers(0, 1000), integers(1, 7)),
  ]),
  ...(['logicalAnd', 'logicalOr'] as const).flatMap((op) =>
    ([SAME, [[5, 1], [1, 7]]] as const).map((shapes) => binaryCase(op, 'bool', shapes, coin(0.5), coin(0.5))),
  ),
];

const COMPARE: readonly CompareOp[] = ['equal', 'notEqual', 'less', 'lessEqual', 'greater', 'greaterEqual'];

function smallValues(dtype: DType): DataGenerator {
  if (dtype === 'bool') return coin(0.5);
  return dtype === 'uint32' ? integers(0, 3) : integers(-2, 2);
}

function compareCase(op: CompareOp, dtype: DType, shapes: Pair): ConformanceCase {
  const data = smallValues(dtype);
  return defineCase('compare', {
    label: `${op} ${shapeLabel(...shapes)}`,
    dtype,
    operands: { a: input(shapes[0], dtype, data), b: input(shapes[1], dtype, data), out: output(broadcastOf(shapes), 'bool') },
    tolerance: 'exact',
    run: (kernel, { a, b, out }) => kernel({ a, b }, { out }, { op }),
  });
}

export const compare: readonly ConformanceCase[] = [
  ...COMPARE.flatMap((op) => DTYPES.map((dtype) => compareCase(op, dtype, SAME))),
  ...SHAPES.map((shapes) => compareCase('less', 'float32', shapes)),
];

export const select: readonly ConformanceCase[] = [
  ...DTYPES.map((dtype) => selectCase(dtype, [7, 13], [7, 13], [7, 13])),
  selectCase('float32', [], [], []),
  selectCase('float32', [0, 3], [0, 3], [1, 1]),
  selectCase('float32', [5, 1, 3], [1, 4, 3], [1, 1, 1]),
  selectCase('float32', [1, 4, 1], [5, 1, 3], [5, 4, 3]),
  selectCase('int32', [1], [1], [13]),
  selectCase('float32', [65537, 1], [65537, 2], [1, 2]),
];

function selectCase(dtype: DType, condition: readonly number[], a: readonly number[], b: readonly number[]): ConformanceCase {
  const shape = condition.map((_, axis) => [condition, a, b].map((one) => one[axis]).find((extent) => extent !== 1) ?? 1);
  const data = dtype === 'bool' ? coin(0.5) : dtype === 'uint32' ? integers(0, 1e9) : integers(-1000, 1000);
  return defineCase('select', {
    label: shapeLabel(condition, a, b),
    dtype,
    operands: {
      condition: input(condition, 'bool', coin(0.5)),
      a: input(a, dtype, data),
      b: input(b, dtype, data),
      out: output(shape, dtype),
    },
    tolerance: 'exact',
    run: (kernel, { condition: test, a: left, b: right, out }) => kernel({ condition: test, a: left, b: right }, { out }),
  });
}
