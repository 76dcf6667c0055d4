// Element-wise kernels of two or three operands that broadcast as NumPy does: binary, compare, select.
import type { BinaryOp, CompareOp, DType, Kernels } from '@xmoe/core';
import type { Runtime } from '../runtime/runtime.js';
import { extremeWgsl, isNanWgsl, orderWgsl, powerWgsl, type FloatWidth } from './math-wgsl.js';
import { dense, repeated, runStrided, storageType, type Lanes, type StridedBody } from './strided.js';

interface FloatOp {
  readonly value: string;
  readonly head?: (F: FloatWidth) => string;
}

/** On a and b of type F. */
const FLOAT_BINARY: Partial<Record<BinaryOp, FloatOp>> = {
  add: { value: 'a + b' },
  subtract: { value: 'a - b' },
  multiply: { value: 'a * b' },
  divide: { value: 'a / b' },
  maximum: { value: 'larger(a, b)', head: (F) => `${isNanWgsl(F)}\n${extremeWgsl(F)}` },
  minimum: { value: 'smaller(a, b)', head: (F) => `${isNanWgsl(F)}\n${extremeWgsl(F)}` },
  power: { value: 'powerOf(a, b)', head: powerWgsl },
};

/** On a and b of one integer type N, or bools as u32. */
const INTEGER_BINARY: Partial<Record<BinaryOp, string>> = {
  add: 'a + b',
  subtract: 'a - b',
  multiply: 'a * b',
  maximum: 'max(a, b)',
  minimum: 'min(a, b)',
  // WGSL rounds towards zero; b is positive.
  floorDivide: 'a / b - select(N(0), N(1), a % b < N(0))',
  remainder: 'a % b + select(N(0), b, a % b < N(0))',
  logicalAnd: 'a & b',
  logicalOr: 'a | b',
};

const COMPARE: Record<CompareOp, string> = {
  equal: 'a == b', notEqual: 'a != b', less: 'a < b', lessEqual: 'a <= b', greater: 'a > b', greaterEqual: 'a >= b',
};

const isFloat = (dtype: DType): boolean => dtype === 'float32' || dtype === 'float16';

function binaryBody(op: BinaryOp, dtype: DType, types: Lanes): StridedBody {
  const N = storageType(dtype, types);
  if (!isFloat(dtype)) {
    return { head: `fn apply(a: ${N}, b: ${N}) -> ${N} { return ${INTEGER_BINARY[op]!.replaceAll('N(', `${N}(`)}; }`, value: 'apply(a_value, b_value)' };
  }
  const { value, head } = FLOAT_BINARY[op]!;
  const { F } = types;
  return {
    head: `${head?.(F) ?? ''}\nfn apply(a: ${F}, b: ${F}) -> ${F} { return ${value}; }`,
    value: `${N}(apply(${F}(a_value), ${F}(b_value)))`,
  };
}

/** Floats are compared by the order of their bits, which holds for infinities; NaN differs from everything. */
function compareBody(op: CompareOp, dtype: DType, types: Lanes): StridedBody {
  const { F, I, U } = types;
  const N = isFloat(dtype) ? I : storageType(dtype, types);
  const bools = types.lanes === 4 ? 'vec4<bool>' : 'bool';
  const holds = `fn holds(a: ${N}, b: ${N}) -> ${bools} { return ${COMPARE[op]}; }`;
  if (!isFloat(dtype)) return { head: holds, value: `select(${U}(0), ${U}(1), holds(a_value, b_value))` };
  const nan = op === 'notEqual' ? 1 : 0;
  return {
    head: [
      isNanWgsl(F), orderWgsl(F), holds,
      `fn answer(a: ${F}, b: ${F}) -> ${U} {`,
      `  return select(select(${U}(0), ${U}(1), holds(orderOf(a), orderOf(b))), ${U}(${nan}), isNan(a) | isNan(b));`,
      '}',
    ].join('\n'),
    value: `answer(${F}(a_value), ${F}(b_value))`,
  };
}

export function broadcastingKernels(runtime: Runtime) {
  return {
    binary({ a, b }, { out }, { op }) {
      runStrided(runtime, {
        name: `binary ${op} ${a.dtype}`,
        inputs: { a: repeated(a), b: repeated(b) },
        out: dense(out),
        shape: out.shape,
        body: (types) => binaryBody(op, a.dtype, types),
      });
    },
    compare({ a, b }, { out }, { op }) {
      runStrided(runtime, {
        name: `compare ${op} ${a.dtype}`,
        inputs: { a: repeated(a), b: repeated(b) },
        out: dense(out),
        shape: out.shape,
        body: (types) => compareBody(op, a.dtype, types),
      });
    },
    select({ condition, a, b }, { out }) {
      runStrided(runtime, {
        name: `select ${out.dtype}`,
        inputs: { condition: repeated(condition), a: repeated(a), b: repeated(b) },
        out: dense(out),
        shape: out.shape,
        body: ({ U }) => ({ value: `select(b_value, a_value, condition_value != ${U}(0))` }),
      });
    },
  } satisfies Partial<Kernels>;
}
