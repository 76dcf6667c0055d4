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
      run: (kernel, { out }) => kernel({}, { out }, { value: dtype === 'bool' ? 1 : 3 }),
    }),
  ),
).concat(
  FLOATS.map((dtype) =>
    defineCase('fill', {
      label: '−∞',
      dtype,
      operands: { out: output([7], dtype) },
      tolerance: 'exact',
      run: (kernel, { out }) => kernel({}, { out }, { value: -Infinity }),
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
      run: (kernel, { out }) => kernel({}, { out }, { start, step }),
    }),
  ),
);

export const random: readonly ConformanceCase[] = [[0, 0], [1, 0], [7, 5], [64, 0xdeadbeef], [65537, 1]].map(([n, stream]) =>
  defineCase('random', {
    label: `[${n}], stream ${stream}`,
    operands: { key: input([2], 'uint32', words), out: output([n], 'float32') },
    tolerance: 'exact',
    run: (kernel, { key, out }) => kernel({ key }, { out }, { stream }),
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
const UNARY_ENDS: Record<Exclude<UnaryOp, 'logicalNot'>, readonly number[]> = {
  negate: [Infinity, -Infinity, NaN],
  abs: [Infinity, -Infinity, -3e38, NaN],
  sign: [0, -0.5, 0.5, Infinity, -Infinity, NaN],
  exp: [-Infinity, -200, 0, 89, 1e4, 3e38, Infinity, NaN],
  log: [0, 1, -1, -Infinity, 3e38, 1e-37, Infinity, NaN],
  sqrt: [0, 1, 4, -1, 3e38, 1e-37, Infinity, NaN],
  rsqrt: [1, 3e38, 1e-37, 0, Infinity, NaN],
  square: [1e30, -1e30, Infinity, -Infinity, NaN],
  reciprocal: [1, 0, Infinity, -Infinity, 1e30, NaN],
  tanh: [-Infinity, -3e38, -60, -20, 0, 20, 60, 3e38, Infinity, 1e-30, NaN],
  erf: [-Infinity, -3e38, -20, -6, 0, 6, 20, 3e38, Infinity, 1e-30, NaN],
  sigmoid: [-Infinity, -3e38, -120, -89, 0, 89, 120, 3e38, Infinity, NaN],
  relu: [-Infinity, -1, 0, 1, Infinity, NaN],
  sin: [0, NaN],
  cos: [0, NaN],
  floor: [Infinity, -Infinity, 1e20, -0.5, NaN],
  ceil: [Infinity, -Infinity, 1e20, -0.5, NaN],
};

function unaryCase(op: UnaryOp, dtype: DType, shape: readonly number[], data: DataGenerator, note = ''): ConformanceCase {
  return defineCase('unary', {
    label: `${op} ${shapeLabel(shape)}${note}`,
    dtype,
    operands: { x: input(shape, dtype, data), out: output(shape, dtype) },
    tolerance: EXACT_UNARY.includes(op) ? 'exact' : undefined,
    run: (kernel, { x, out }) => kernel({ x }, { out }, { op }),
  });
}

export const unary: readonly ConformanceCase[] = [
  ...Object.entries(UNARY_DOMAIN).flatMap(([op, data]) =>
    FLOATS.map((dtype) => unaryCase(op as UnaryOp, dtype, [7, 13], data)),
  ),
  ...Object.entries(UNARY_ENDS).flatMap(([op, ends]) =>
    // So many that loops over vectors see them.
    ([[[ends.length], 'float16'], [[1201], 'float32']] as const).map(([shape, dtype]) => unaryCase(op as UnaryOp, dtype, shape, cycle(...ends), ' at the ends')),
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

/** The ends of the integers, what is beyond them, fractions, NaN. */
const BEYOND = [
  3e9, -3e9, 2 ** 31, 2 ** 31 - 128, -(2 ** 31), 2 ** 32, 2 ** 32 - 256, 1e30, -1e30, 5e9, Infinity, -Infinity, NaN, 0, -0, 0.9, -0.9, 1.9, -1.9, -1, 1e-30,
];

function oddCast(from: DType, to: DType, data: DataGenerator): ConformanceCase {
  return defineCase('cast', {
    label: `beyond the range, from ${from} to`,
    dtype: to,
    operands: { x: input([BEYOND.length * 3], from, data), out: output([BEYOND.length * 3], to) },
    run: (kernel, { x, out }) => kernel({ x }, { out }),
  });
}

export const cast: readonly ConformanceCase[] = [
  ...DTYPES.flatMap((from) =>
    DTYPES.map((to) =>
      defineCase('cast', {
        label: `from ${from} to`,
        dtype: to,
        operands: { x: input([7, 9], from, castData(from, to)), out: output([7, 9], to) },
        tolerance: from === 'float32' && to === 'float16' ? undefined : 'exact',
        run: (kernel, { x, out }) => kernel({ x }, { out }),
      }),
    ),
  ),
  ...(['int32', 'uint32', 'bool'] as const).flatMap((to) => FLOATS.map((from) => oddCast(from, to, cycle(...BEYOND)))),
  oddCast('uint32', 'int32', cycle(0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1)),
  oddCast('int32', 'uint32', cycle(0, 1, -1, 2 ** 31 - 1, -(2 ** 31))),
  ...[[0], [], [65537]].map((shape) =>
    defineCase('cast', {
      label: `${shapeLabel(shape)} from float32 to`,
      dtype: 'int32',
      operands: { x: input(shape, 'float32', uniform(-1e5, 1e5)), out: output(shape, 'int32') },
      run: (kernel, { x, out }) => kernel({ x }, { out }),
    }),
  ),
];
