// Gradient cases of element-wise ops and reductions: broadcasting on both sides, axes of size 1 and 0.
import * as core from '@xmoe/core';
import type { Tensor } from '@xmoe/core';
import { apart, bool, gradientCase, positive, type CaseTable, type GradientCase, type InputSpec } from './case.js';

type Binary = (a: Tensor | number, b: Tensor | number) => Tensor;

const SHAPES: readonly (readonly [readonly number[], readonly number[]])[] = [
  [[2, 3], [2, 3]],
  [[3], [2, 3]],
  [[2, 1, 4], [3, 1]],
  [[1, 1], [2, 3]],
  [[], [2]],
  [[1], []],
  [[0, 3], [3]],
  [[2, 1], [1, 0]],
];

function binary(op: Binary, kind: 'normal' | 'positive' = 'normal'): GradientCase[] {
  const fill = (shape: readonly number[]): InputSpec => (kind === 'positive' ? positive(...shape) : shape);
  return [
    ...SHAPES.map(([a, b]) => gradientCase(`[${a}] and [${b}]`, ([x, y]) => op(x!, y!), fill(a), fill(b))),
    gradientCase('a number on the right', ([x]) => op(x!, 1.5), fill([2, 2])),
    gradientCase('a number on the left', ([x]) => op(1.5, x!), fill([2, 2])),
    gradientCase('both the same tensor', ([x]) => op(x!, core.multiply(x!, 1.25)), fill([3])),
  ];
}

const unary = (op: (x: Tensor) => Tensor, ...inputs: readonly InputSpec[]): GradientCase[] =>
  inputs.map((input) => gradientCase(`[${'data' in input ? input.shape : input}]`, ([x]) => op(x!), input));

const reduction = (op: (x: Tensor, axes?: number | readonly number[], options?: core.ReduceOptions) => Tensor): GradientCase[] => [
  gradientCase('all', ([x]) => op(x!), apart(2, 3)),
  gradientCase('a scalar', ([x]) => op(x!), apart()),
  gradientCase('first axis', ([x]) => op(x!, 0), apart(2, 3)),
  gradientCase('last axis kept', ([x]) => op(x!, -1, { keepAxes: true }), apart(2, 3)),
  gradientCase('middle axis', ([x]) => op(x!, 1), apart(2, 3, 2)),
  gradientCase('axes that are not neighbours', ([x]) => op(x!, [0, 2]), apart(2, 3, 2)),
  gradientCase('neighbours, named from both ends', ([x]) => op(x!, [-1, 1]), apart(2, 3, 2)),
  gradientCase('an axis of size 1', ([x]) => op(x!, 1), apart(2, 1)),
  gradientCase('nothing', ([x]) => op(x!, 0), apart(3, 0)),
];

export const ELEMENTWISE: CaseTable = {
  add: binary(core.add),
  subtract: binary(core.subtract),
  multiply: binary(core.multiply),
  divide: binary(core.divide, 'positive'),
  maximum: binary(core.maximum),
  minimum: binary(core.minimum),
  power: [
    ...binary(core.power, 'positive'),
    gradientCase('a negative base with a whole exponent', ([x]) => core.power(x!, 3), { shape: [2], data: [-1.5, -0.25] }),
  ],
  floorDivide: 'no gradient',
  remainder: 'no gradient',
  logicalAnd: 'no gradient',
  logicalOr: 'no gradient',
  equal: 'no gradient',
  notEqual: 'no gradient',
  less: 'no gradient',
  lessEqual: 'no gradient',
  greater: 'no gradient',
  greaterEqual: 'no gradient',
  negate: unary(core.negate, [2, 3], [0]),
  abs: unary(core.abs, apart(5)),
  sign: 'no gradient',
  exp: unary(core.exp, [2, 3], []),
  log: unary(core.log, positive(4)),
  sqrt: unary(core.sqrt, positive(4)),
  rsqrt: unary(core.rsqrt, positive(4)),
  square: unary(core.square, [2, 3]),
  reciprocal: unary(core.reciprocal, positive(4)),
  tanh: unary(core.tanh, [2, 3]),
  erf: unary(core.erf, [2, 3]),
  sigmoid: unary(core.sigmoid, [2, 3]),
  relu: unary(core.relu, apart(7)),
  sin: unary(core.sin, [2, 3]),
  cos: unary(core.cos, [2, 3]),
  floor: 'no gradient',
  ceil: 'no gradient',
  logicalNot: 'no gradient',
  select: [
    gradientCase('all broadcast', ([a, b], engine) => core.select(bool(engine, [1, 0, 1], [3, 1]), a!, b!), [2, 1, 4], [1]),
    gradientCase('a number for a', ([b], engine) => core.select(bool(engine, [1, 0, 1]), 2, b!), [2, 3]),
    gradientCase('a number for b', ([a], engine) => core.select(bool(engine, [1, 0, 1]), a!, 2), [3]),
    gradientCase('nothing', ([a, b], engine) => core.select(bool(engine, [1]), a!, b!), [0, 2], [2]),
  ],
  cast: [gradientCase('to float32 is the identity', ([x]) => core.cast(x!, 'float32'), [2, 3])],
  sum: reduction(core.sum),
  mean: reduction(core.mean).filter(({ label }) => label !== 'nothing'),
  max: reduction(core.max),
  min: reduction(core.min),
  argMax: 'no gradient',
  argMin: 'no gradient',
  cumsum: [
    ...unary((x) => core.cumsum(x), [2, 4], [3], [2, 1], [2, 0], []),
    ...unary((x) => core.cumsum(x, { exclusive: true }), [2, 4], [3], [2, 1]).map((item) => ({ ...item, label: `exclusive ${item.label}` })),
  ],
  sumSquares: [
    ...unary((x) => core.sumSquares([x]), [2, 3], [], [0]),
    gradientCase('of a list', (inputs) => core.sumSquares(inputs), [2, 3], [4], []),
  ],
};
