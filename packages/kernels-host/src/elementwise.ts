// Element-wise kernels: fill, iota, random, unary, cast. Those that broadcast are in broadcasting.ts.
import { fillUniform, isFloat, toWhole, type KernelAttributes, type UnaryOp } from '@xmoe/core/backend';
import { bools, elements, floats, uint32s, type NumericArray, type ViewInputs, type ViewOutputs } from './host-view.js';
import { erf, erfSingle } from './erf.js';

export function fill(_inputs: ViewInputs<'fill'>, { out }: ViewOutputs<'fill'>, { value }: KernelAttributes<'fill'>): void {
  elements(out).fill(out.dtype === 'bool' && value !== 0 ? 1 : value);
}

export function iota(_inputs: ViewInputs<'iota'>, { out }: ViewOutputs<'iota'>, { start, step }: KernelAttributes<'iota'>): void {
  const target = elements(out);
  for (let i = 0; i < target.length; i++) target[i] = start + i * step;
}

export function random({ key }: ViewInputs<'random'>, { out }: ViewOutputs<'random'>, { stream }: KernelAttributes<'random'>): void {
  const words = uint32s(key);
  fillUniform([words[0], words[1]], stream, floats(out));
}

/** One loop per op: a closure call per element would cost more than most of the ops. */
const UNARY: Record<UnaryOp, (x: NumericArray, y: NumericArray) => void> = {
  negate: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = -x[i]; },
  abs: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = Math.abs(x[i]); },
  sign: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = Math.sign(x[i]); },
  exp: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = Math.exp(x[i]); },
  log: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = Math.log(x[i]); },
  sqrt: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = Math.sqrt(x[i]); },
  rsqrt: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = 1 / Math.sqrt(x[i]); },
  square: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = x[i] * x[i]; },
  reciprocal: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = 1 / x[i]; },
  tanh: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = Math.tanh(x[i]); },
  erf: (x, y) => {
    if (y instanceof Float64Array) for (let i = 0; i < y.length; i++) y[i] = erf(x[i]);
    else for (let i = 0; i < y.length; i++) y[i] = erfSingle(x[i]);
  },
  sigmoid: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = 1 / (1 + Math.exp(-x[i])); },
  relu: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = Math.max(0, x[i]); },
  sin: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = Math.sin(x[i]); },
  cos: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = Math.cos(x[i]); },
  floor: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = Math.floor(x[i]); },
  ceil: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = Math.ceil(x[i]); },
  logicalNot: (x, y) => { for (let i = 0; i < y.length; i++) y[i] = x[i] === 0 ? 1 : 0; },
};

export function unary({ x }: ViewInputs<'unary'>, { out }: ViewOutputs<'unary'>, { op }: KernelAttributes<'unary'>): void {
  UNARY[op](elements(x), elements(out));
}

/** Float → integer truncates and saturates, NaN is 0; anything → bool is "≠ 0", NaN included. */
export function cast({ x }: ViewInputs<'cast'>, { out }: ViewOutputs<'cast'>): void {
  const source = elements(x);
  if (out.dtype === 'int32' || out.dtype === 'uint32') {
    if (isFloat(x.dtype)) toWhole(source, elements(out) as Int32Array | Uint32Array);
    else elements(out).set(source); // between integers: the same bits
    return;
  }
  if (out.dtype !== 'bool') {
    elements(out).set(source);
    return;
  }
  const target = bools(out);
  for (let i = 0; i < target.length; i++) target[i] = source[i] !== 0 ? 1 : 0;
}
