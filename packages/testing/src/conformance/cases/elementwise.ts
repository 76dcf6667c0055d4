// Cases of the element-wise primitives: fill, iota, random, unary, cast.
import { DTYPES, type DType, type UnaryOp } from '@xmoe/core';
import { defineCase, FLOATS, input, output, shapeLabel, type ConformanceCase } from '../case.js';
import { coin, cycle, integers, uniform, words, type DataGenerator } from '../data.js';

export const fill: readonly ConformanceCase[] = DTYPES.flatMap((dtype) =>
  [[0], [1], [3, 13], [65537]].map((shape) =>
    defineCase('fill', {
      label: shapeLabel(shape),
      dtype,
      operands: { out: output(shape, dtype) },
      tolerance: 'exact',
      run: (kernel, { out }) => kernel(out, { value: dtype === 'bool' ? 1 : 3 }),
    }),
  ),
).concat(
  FLOATS.map((dtype) =>
    defineCase('fill', {
      label: '−∞',
      dtype,
      operands: { out: output([7], dtype) },
      tolerance: 'exact',
      run: (kernel, { out }) => kernel(out, { value: -Infinity }),
    }),
  ),
);

export const iota: readonly ConformanceCase[] = (['int32', 'uint32', 'float32'] as const).flatMap((dtype) =>
  [[0, 0, 1], [1, 5, 1], [13, 2, 3], [70001, 0, 1]].map(([n, start, step]) =>
    defineCase('iota', {
      label: `${start} + ${step}·i, [${n}]`,
      dtype,
      operands: { out: output([n], dtype) },
      tolerance: 'exact',
      run: (kernel, { out }) => kernel(out, { start, step }),
    }),
  ),
);

export const random: readonly ConformanceCase[] = [[0, 0], [1, 0], [7, 5], [64, 0xdeadbeef], [65537, 1]].map(([n, stream]) =>
  defineCase('random', {
    label: `[${n}], stream ${stream}`,
    operands: { key: input([2], 'uint32', words), out: output([n], 'float32') },
    tolerance: 'exact',
    run: (kernel, { key, out }) => kernel(key, out, { stream }),
  }),
);

/** Where each op is defined and has moderate values. */
const UNARY_DOMAIN: Record<Exclude<UnaryOp, 'logicalNot'>, DataGenerator> = {
  negate: uniform(-9, 9),
  abs: uniform(-9, 9),
  sign: integers(-2, 2),
  exp: uniform(-9, 4),
  log: uniform(0.01, 9),
  sqrt: uniform(0, 9),
  rsqrt: uniform(0.01, 9),
  square: uniform(-9, 9),
  reciprocal: uniform(0.1, 9),
  tanh: uniform(-6, 6),
  erf: uniform(-4, 4),
  sigmoid: uniform(-12, 12),
  relu: uniform(-3, 3),
  sin: uniform(-6, 6),
  cos: uniform(-6, 6),
  floor: uniform(-9, 9),
  ceil: uniform(-9, 9),
};

const EXACT_UNARY: readonly UnaryOp[] = ['negate', 'abs', 'sign', 'relu', 'floor', 'ceil', 'logicalNot'];

/** Values at the ends of the domain, which overflow or hide in a careless formula. */
const UNARY_ENDS: Partial<Record<UnaryOp, DataGenerator>> = {
  exp: cycle(-Infinity, -200, 0),
  log: cycle(0, 1),
  sqrt: cycle(0, 1, 4),
  sign: cycle(0, -0.5, 0.5),
  tanh: cycle(-60, -20, 0, 20, 60),
  erf: cycle(-20, -6, 0, 6, 20),
  sigmoid: cycle(-120, 0, 120),
  relu: cycle(-1, 0, 1),
};

function unaryCase(op: UnaryOp, dtype: DType, shape: readonly number[], data: DataGenerator, note = ''): ConformanceCase {
  return defineCase('unary', {
    label: `${op} ${shapeLabel(shape)}${note}`,
    dtype,
    operands: { x: input(shape, dtype, data), out: output(shape, dtype) },
    tolerance: EXACT_UNARY.includes(op) ? 'exact' : undefined,
    run: (kernel, { x, out }) => kernel(x, out, { op }),
  });
}

export const unary: readonly ConformanceCase[] = [
  ...Object.entries(UNARY_DOMAIN).flatMap(([op, data]) =>
    FLOATS.map((dtype) => unaryCase(op as UnaryOp, dtype, [7, 13], data)),
  ),
  ...Object.entries(UNARY_ENDS).flatMap(([op, data]) =>
    FLOATS.map((dtype) => unaryCase(op as UnaryOp, dtype, [5], data, ' at the ends')),
  ),
  ...(['negate', 'abs', 'sign'] as const).map((op) => unaryCase(op, 'int32', [11], integers(-1e9, 1e9))),
  ...[[], [0], [1], [1, 1, 1], [65537]].map((shape) => unaryCase('exp', 'float32', shape, uniform(-2, 2))),
  ...[[5, 3], [65537]].map((shape) => unaryCase('logicalNot', 'bool', shape, coin(0.5))),
];

/** Values that every target of the cast can hold. */
function castData(from: DType, to: DType): DataGenerator {
  if (from === 'bool') return coin(0.5);
  const isFraction = from === 'float32' || from === 'float16';
  if (to === 'uint32' || from === 'uint32') return isFraction ? uniform(0, 9) : integers(0, 9);
  return isFraction ? uniform(-9, 9) : integers(-9, 9);
}

export const cast: readonly ConformanceCase[] = [
  ...DTYPES.flatMap((from) =>
    DTYPES.map((to) =>
      defineCase('cast', {
        label: `from ${from} to`,
        dtype: to,
        operands: { x: input([7, 9], from, castData(from, to)), out: output([7, 9], to) },
        tolerance: from === 'float32' && to === 'float16' ? undefined : 'exact',
        run: (kernel, { x, out }) => kernel(x, out),
      }),
    ),
  ),
  ...[[0], [], [65537]].map((shape) =>
    defineCase('cast', {
      label: `${shapeLabel(shape)} from float32 to`,
      dtype: 'int32',
      operands: { x: input(shape, 'float32', uniform(-1e5, 1e5)), out: output(shape, 'int32') },
      run: (kernel, { x, out }) => kernel(x, out),
    }),
  ),
];
