// Cases of biasActivation and biasActivationGrad: every activation, with and without bias and segments.
import type { Activation, FloatDType, Operand } from '@xmoe/core';
import { defineCase, FLOATS, input, output, sumTolerance, type ConformanceCase, type OperandSpec } from '../case.js';
import { cycle, uniform, type DataGenerator } from '../data.js';

const ACTIVATIONS: readonly Activation[] = ['none', 'relu', 'gelu-tanh', 'gelu-erf'];

interface Variant {
  readonly R: number;
  readonly C: number;
  /** Undefined: one segment of all rows. */
  readonly offsets?: readonly number[];
  /** Undefined: no bias. */
  readonly bias?: FloatDType;
  readonly activation: Activation;
  /** Default: moderate numbers. */
  readonly x?: DataGenerator;
}

/** From where products of the formulas overflow, or their saturated parts show, to the infinities; NaN stays. */
const EXTREMES = [
  Infinity, -Infinity, 3e38, -3e38, 1e30, -1e30, 1e20, -1e20, 1e13, -1e13, 3e12, -3e12, 1e10, -1e10, 1e4, -1e4, 65504, -65504, 100, -100, 40, -40, 20.5, -20.5,
  19.5, -19.5, 13, -13, 8.3, -8.3, 5.5, -5.5, 1e-30, -1e-30, 0, NaN,
];

function variants(dtype: FloatDType): Variant[] {
  const segments = [0, 5, 5, 6, 19];
  const small = ACTIVATIONS.flatMap((activation): Variant[] => [
    { R: 7, C: 13, bias: dtype, activation },
    { R: 23, C: 5, bias: dtype, offsets: segments, activation },
    { R: 7, C: 13, activation },
    { R: 23, C: 5, offsets: segments, activation },
  ]);
  const long = (['gelu-tanh', 'gelu-erf'] as const).map((activation): Variant => ({ R: 150, C: 72, bias: dtype, offsets: [0, 70, 70, 140], activation }));
  const extreme = ACTIVATIONS.flatMap((activation) => [[1, 36], [40, 36]].map(([R, C]): Variant => ({ R, C, activation, x: cycle(...EXTREMES) })));
  if (dtype === 'float16') return [...small, ...long, ...extreme, { R: 23, C: 5, bias: 'float32', offsets: segments, activation: 'gelu-tanh' }];
  return [
    ...small,
    ...long,
    ...extreme,
    { R: 0, C: 5, bias: dtype, activation: 'relu' },
    { R: 0, C: 5, bias: dtype, offsets: [0, 0], activation: 'relu' },
    { R: 9, C: 3, bias: dtype, offsets: [0, 0, 0], activation: 'gelu-erf' },
    { R: 1, C: 1, bias: dtype, activation: 'gelu-erf' },
    { R: 65537, C: 2, bias: dtype, activation: 'relu' },
    { R: 65537, C: 2, bias: dtype, offsets: [0, 7, 65536], activation: 'gelu-tanh' },
  ];
}

function labelOf({ R, C, offsets, bias, activation, x }: Variant): string {
  const rows = offsets === undefined ? '' : ` at ${offsets.join(' ')}`;
  return `${activation}${x === undefined ? '' : ' of extremes'} [${R}, ${C}]${rows}, ${bias === undefined ? 'no bias' : `bias ${bias}`},`;
}

/** The operands that a variant has; `bias` and `offsets` are left out where it has none. */
function inputsOf({ R, C, offsets, bias, x }: Variant, dtype: FloatDType): Record<string, OperandSpec> {
  const groups = offsets === undefined ? 1 : offsets.length - 1;
  return {
    x: input([R, C], dtype, x ?? uniform(-4, 4)),
    ...(bias === undefined ? {} : { bias: input([groups, C], bias, uniform(-1, 1)) }),
    ...(offsets === undefined ? {} : { offsets: input([groups + 1], 'int32', cycle(...offsets)) }),
  };
}

function orNull(operands: Readonly<Record<string, Operand>>, name: string): Operand | null {
  return operands[name] ?? null;
}

export const biasActivation: readonly ConformanceCase[] = FLOATS.flatMap((dtype) =>
  variants(dtype).map((variant) =>
    defineCase('biasActivation', {
      label: labelOf(variant),
      dtype,
      operands: { ...inputsOf(variant, dtype), out: output([variant.R, variant.C], dtype) } as Record<string, OperandSpec>,
      tolerance: sumTolerance(dtype, 10),
      run: (kernel, operands) =>
        kernel(
          { x: operands.x, bias: orNull(operands, 'bias'), offsets: orNull(operands, 'offsets') },
          { out: operands.out }, { activation: variant.activation },
        ),
    }),
  ),
);

/** With a bias also without its gradient: a caller may not want it. */
function gradCase(variant: Variant, dtype: FloatDType, wantsBias: boolean): ConformanceCase {
  const { R, C, offsets, bias, activation } = variant;
  const groups = offsets === undefined ? 1 : offsets.length - 1;
  const operands: Record<string, OperandSpec> = {
    ...inputsOf(variant, dtype),
    dy: input([R, C], dtype, uniform(-1, 1)),
    dx: output([R, C], dtype),
    ...(wantsBias && bias !== undefined ? { dbias: output([groups, C], bias) } : {}),
  };
  return defineCase('biasActivationGrad', {
    label: `${labelOf(variant)}${wantsBias ? '' : ' dx only,'}`,
    dtype,
    operands,
    tolerance: dtype === 'float16' ? { relative: 4e-3, absolute: 4e-3 } : sumTolerance(dtype, 10 + R),
    run: (kernel, given) =>
      kernel(
        { x: given.x, bias: orNull(given, 'bias'), offsets: orNull(given, 'offsets'), dy: given.dy },
        { dx: given.dx, dbias: orNull(given, 'dbias') }, { activation },
      ),
  });
}

export const biasActivationGrad: readonly ConformanceCase[] = FLOATS.flatMap((dtype) => [
  ...variants(dtype).map((variant) => gradCase(variant, dtype, true)),
  gradCase({ R: 7, C: 13, bias: dtype, activation: 'gelu-tanh' }, dtype, false),
]);
