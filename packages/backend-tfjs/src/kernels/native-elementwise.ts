// Element-wise primitives, reductions and movement through TensorFlow.js kernels. Indexing is in native-indexing.ts.
import { sizeOf, type Operand, type RequiredKernels } from '@xmoe/core';
import { BINARY, COMPARE, UNARY } from '../operation-names.js';
import type { TfTensor } from '../tfjs-module.js';
import type { NativeCalls } from './native-calls.js';

type Elementwise =
  | 'fill' | 'unary' | 'binary' | 'compare' | 'select' | 'cast' | 'reduce' | 'argReduce' | 'cumsum'
  | 'transpose' | 'slice' | 'broadcast' | 'concat';

/** Which builds compute what exactly; the host does the rest. */
export interface Exactness {
  /** TensorFlow itself; builds written in JavaScript approximate erf to 1e-7 absolute and take |int32| through float32. */
  readonly functions: boolean;
  /** Products of int32: builds written in JavaScript take them through float64. */
  readonly integers: boolean;
}

export function nativeElementwise(calls: NativeCalls, host: RequiredKernels, exact: Exactness): Pick<RequiredKernels, Elementwise> {
  const { run, tensor, put } = calls;
  const spread = (x: Parameters<typeof tensor>[0], shape: readonly number[]) =>
    run('Tile', { x: tensor(x) }, { reps: shape.map((extent, axis) => (x.shape[axis] === extent ? 1 : extent)) });
  /** An axis between two others is moved to the end first, and the WebGPU build cannot transpose int32. */
  const wouldTranspose = (x: Operand, inner: number): boolean => inner > 1 && x.dtype !== 'float32' && !exact.functions;
  return {
    fill(_inputs, { out }, { value }) {
      if (out.dtype === 'bool') return host.fill({}, { out }, { value });
      put(out, run('Fill', {}, { shape: [...out.shape], value, dtype: out.dtype }));
    },
    unary({ x }, { out }, attributes) {
      const inexact = attributes.op === 'erf' || (attributes.op === 'abs' && x.dtype === 'int32');
      if (inexact && !exact.functions) return host.unary({ x }, { out }, attributes);
      const result = run(UNARY[attributes.op], { x: tensor(x) });
      // Of NaN some builds give 0 for its sign.
      put(out, attributes.op === 'sign' && x.dtype === 'float32' ? run('Select', { condition: isNumber(calls, tensor(x)), t: result, e: tensor(x) }) : result);
    },
    binary({ a, b }, { out }, attributes) {
      if (attributes.op === 'multiply' && out.dtype === 'int32' && !exact.integers) return host.binary({ a, b }, { out }, attributes);
      put(out, run(BINARY[attributes.op], { a: tensor(a), b: tensor(b) }));
    },
    compare({ a, b }, { out }, attributes) {
      const plain = a.dtype !== 'bool';
      const [left, right] = [a, b].map((x) => (plain ? tensor(x) : run('Cast', { x: tensor(x) }, { dtype: 'int32' })));
      put(out, run(COMPARE[attributes.op], { a: left, b: right }));
    },
    select: ({ condition, a, b }, { out }) =>
      put(out, run('Select', { condition: spread(condition, out.shape), t: spread(a, out.shape), e: spread(b, out.shape) })),
    cast({ x }, { out }) {
      if (x.dtype === 'float32' && out.dtype === 'int32') put(out, toWhole(calls, tensor(x)));
      else put(out, run('Cast', { x: tensor(x) }, { dtype: out.dtype }));
    },
    reduce({ x }, { out }, attributes) {
      const { op, outer, size, inner } = attributes;
      if (wouldTranspose(x, inner)) return host.reduce({ x }, { out }, attributes);
      const view = calls.reshape(tensor(x), inner === 1 ? [outer, size] : [outer, size, inner]);
      const kernel = op === 'sum' ? 'Sum' : op === 'max' ? 'Max' : 'Min';
      put(out, run(kernel, { x: view }, { axis: [1], reductionIndices: [1], keepDims: false }));
    },
    argReduce({ x }, { out }, attributes) {
      const { op, outer, size, inner } = attributes;
      if (wouldTranspose(x, inner)) return host.argReduce({ x }, { out }, attributes);
      const view = calls.reshape(tensor(x), inner === 1 ? [outer, size] : [outer, size, inner]);
      put(out, x.dtype === 'float32' ? argExtreme(calls, view, op) : run(op === 'max' ? 'ArgMax' : 'ArgMin', { x: view }, { axis: 1 }));
    },
    cumsum({ x }, { out }, { exclusive }) {
      const n = x.shape[x.shape.length - 1];
      const rows = calls.reshape(tensor(x), [sizeOf(x.shape) / n, n]);
      put(out, run('Cumsum', { x: rows }, { axis: 1, exclusive, reverse: false }));
    },
    transpose: ({ x }, { out }, { permutation }) => put(out, run('Transpose', { x: tensor(x) }, { perm: [...permutation] })),
    slice: ({ x }, { out }, { begin }) => put(out, run('Slice', { x: tensor(x) }, { begin: [...begin], size: [...out.shape] })),
    broadcast: ({ x }, { out }) => put(out, spread(x, out.shape)),
    // TensorFlow's own Concat takes two tensors or more.
    concat: ({ parts }, { out }, { axis }) =>
      put(out, parts.length === 1 ? run('Identity', { x: tensor(parts[0]) }) : run('Concat', parts.map(tensor), { axis })),
  };
}

/** float32 → int32 as the contract says. Beyond the range, and of NaN, the builds' own Cast gives different numbers. */
function toWhole(calls: NativeCalls, x: TfTensor): TfTensor {
  const { run, constant } = calls;
  const filled = (value: number, dtype: 'float32' | 'int32') => run('Fill', {}, { shape: [...x.shape], value, dtype });
  const scalar = (value: number) => constant([value], 'float32', []);
  const number = run('Select', { condition: isNumber(calls, x), t: x, e: filled(0, 'float32') });
  const highest = 2 ** 31 - 128; // the largest float32 below 2^31
  const inside = run('Maximum', { a: run('Minimum', { a: number, b: scalar(highest) }), b: scalar(-(2 ** 31)) });
  const whole = run('Cast', { x: inside }, { dtype: 'int32' });
  return run('Select', { condition: run('Greater', { a: number, b: scalar(highest) }), t: filled(2 ** 31 - 1, 'int32'), e: whole });
}

/** bool: where x is not NaN. */
function isNumber({ run }: NativeCalls, x: TfTensor): TfTensor {
  return run('Equal', { a: x, b: x });
}

/** Along axis 1 of [outer, size] or [outer, size, inner]: the builds' own answer to NaN depends on where it stands; here it loses to every number. */
function argExtreme(calls: NativeCalls, x: TfTensor, op: 'max' | 'min'): TfTensor {
  const { run, constant } = calls;
  const worst = op === 'max' ? -Infinity : Infinity;
  const number = isNumber(calls, x);
  const filled = run('Fill', {}, { shape: [...x.shape], value: worst, dtype: 'float32' });
  const clean = run('Select', { condition: number, t: x, e: filled });
  const found = run(op === 'max' ? 'ArgMax' : 'ArgMin', { x: clean }, { axis: 1 });
  const extreme = run(op === 'max' ? 'Max' : 'Min', { x: clean }, { axis: [1], reductionIndices: [1], keepDims: false });
  // Where nothing is better than what stands for NaN, it is the first number.
  const first = run('ArgMax', { x: run('Cast', { x: number }, { dtype: 'float32' }) }, { axis: 1 });
  return run('Select', { condition: run('Equal', { a: extreme, b: constant([worst], 'float32', []) }), t: first, e: found });
}
