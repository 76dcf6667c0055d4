// Element-wise kernels of one operand or none: fill, iota, unary, cast. Random ones are in random.ts, those that broadcast
// in broadcasting.ts.
import { sizeOf, type DType, type Kernels, type UnaryOp } from '@xmoe/core';
import { wgslType, type ScalarType } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { erfWgsl, expWgsl, isNanWgsl, logWgsl, sigmoidWgsl, sineWgsl, tanhWgsl, type FloatWidth } from './math-wgsl.js';
import { flat, runStrided, storageType, type Lanes, type StridedBody } from './strided.js';

interface FloatOp {
  readonly value: string;
  readonly head?: (F: FloatWidth) => string;
}

/** Each op on `v`, floats of type F. NaN goes through all of them. */
const FLOAT_UNARY: Record<Exclude<UnaryOp, 'logicalNot'>, FloatOp> = {
  negate: { value: '-v' },
  abs: { value: 'abs(v)' },
  sign: { value: 'select(sign(v), v, isNan(v))', head: isNanWgsl },
  exp: { value: 'expOf(v)', head: (F) => `${isNanWgsl(F)}\n${expWgsl(F)}` },
  log: { value: 'logOf(v)', head: logWgsl },
  sqrt: { value: 'sqrt(v)' },
  rsqrt: { value: 'inverseSqrt(v)' },
  square: { value: 'v * v' },
  reciprocal: { value: '1 / v' },
  tanh: { value: 'tanhOf(v)', head: tanhWgsl },
  erf: { value: 'erfOf(v)', head: erfWgsl },
  sigmoid: { value: 'sigmoidOf(v)', head: (F) => `${isNanWgsl(F)}\n${expWgsl(F)}\n${sigmoidWgsl(F)}` },
  relu: { value: 'select(v, F(0), v < F(0))' },
  sin: { value: 'sineOf(v, 0)', head: sineWgsl },
  cos: { value: 'sineOf(v, 1)', head: sineWgsl },
  floor: { value: 'floor(v)' },
  ceil: { value: 'ceil(v)' },
};

const isFloat = (dtype: DType): boolean => dtype === 'float32' || dtype === 'float16';

/** The ops that integers have. */
const INTEGER_UNARY: Partial<Record<UnaryOp, string>> = { negate: '-x_value', abs: 'abs(x_value)', sign: 'sign(x_value)', logicalNot: '1 - x_value' };

function unaryBody(op: UnaryOp, dtype: DType, types: Lanes): StridedBody {
  if (op === 'logicalNot' || !isFloat(dtype)) return { value: INTEGER_UNARY[op]! };
  const { F } = types;
  const { value, head } = FLOAT_UNARY[op];
  const apply = `fn apply(v: F) -> F { return ${value}; }`;
  return { head: [`alias F = ${F};`, head?.(F) ?? '', apply].join('\n'), value: `${storageType(dtype, types)}(apply(F(x_value)))` };
}

function castBody(from: DType, to: DType, types: Lanes): StridedBody {
  const { F, U, I } = types;
  const float = `${F}(x_value)`;
  const out = storageType(to, types);
  if (to === 'bool') {
    // By the bits, so that NaN counts as a number other than 0.
    const bits = isFloat(from) ? `(bitcast<${U}>(${float}) & ${U}(0x7fffffffu))` : `${U}(x_value)`;
    return { value: `select(${U}(0), ${U}(1), ${bits} != ${U}(0))` };
  }
  if (from === to) return { value: 'x_value' };
  if (isFloat(from) && (to === 'int32' || to === 'uint32')) {
    // Conversions end at the last whole float32 of the range, and what they make of NaN is left open.
    const [T, beyond, highest] = to === 'int32' ? [I, '2147483648.0', '2147483647'] : [U, '4294967296.0', '4294967295u'];
    return { head: isNanWgsl(F), value: `select(select(${T}(${float}), ${T}(${highest}), ${float} >= ${F}(${beyond})), ${T}(0), isNan(${float}))` };
  }
  return { value: `${out}(${to === 'float16' ? float : 'x_value'})` };
}

export function elementwiseKernels(runtime: Runtime) {
  return {
    fill(_inputs, { out }, { value }) {
      // The value travels as an f32, which holds every float16 and bool; whole numbers have their own types.
      const type: ScalarType = out.dtype === 'int32' ? 'i32' : out.dtype === 'uint32' || out.dtype === 'bool' ? 'u32' : 'f32';
      runStrided(runtime, {
        name: `fill ${out.dtype}`,
        inputs: {},
        out: flat(out),
        shape: [sizeOf(out.shape)],
        args: { value: { type, value: out.dtype === 'bool' ? Number(value !== 0) : value } },
        body: (types) => ({ value: `${storageType(out.dtype, types)}(${wgslType(out.dtype)}(args.value))` }),
      });
    },
    iota(_inputs, { out }, { start, step }) {
      const type: ScalarType = out.dtype === 'float32' ? 'f32' : out.dtype === 'int32' ? 'i32' : 'u32';
      runStrided(runtime, {
        name: `iota ${out.dtype}`,
        inputs: {},
        out: flat(out),
        shape: [sizeOf(out.shape)],
        args: { origin: { type, value: start }, step: { type, value: step } },
        indexed: true,
        body: () => ({ value: `args.origin + vec4<${type}>(at + vec4u(0, 1, 2, 3)) * args.step` }),
      });
    },
    unary({ x }, { out }, { op }) {
      runStrided(runtime, {
        name: `unary ${op} ${x.dtype}`,
        inputs: { x: flat(x) },
        out: flat(out),
        shape: [sizeOf(out.shape)],
        body: (types) => unaryBody(op, x.dtype, types),
      });
    },
    cast({ x }, { out }) {
      runStrided(runtime, {
        name: `cast ${x.dtype} ${out.dtype}`,
        inputs: { x: flat(x) },
        out: flat(out),
        shape: [sizeOf(out.shape)],
        body: (types) => castBody(x.dtype, out.dtype, types),
      });
    },
  } satisfies Partial<Kernels>;
}
