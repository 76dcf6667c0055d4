// fill, iota, unary, binary, compare, select and cast on the host. Broadcasting is in host-broadcast.ts.
import { sizeOf, type BinaryOp, type CompareOp, type Operand, type RequiredKernels, type UnaryOp } from '@xmoe/core';
import { toWhole } from '@xmoe/core/backend';
import type { HostArray } from '../box.js';
import type { Memory } from '../memory.js';
import { eachRun } from './host-broadcast.js';
import { erf } from './host-math.js';

// One loop per operation: a call per element would cost more than most of the operations.
const unaryLoops: Record<UnaryOp, (z: HostArray, x: HostArray) => void> = {
  negate: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = -x[i]; },
  abs: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = Math.abs(x[i]); },
  sign: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = Math.sign(x[i]); },
  exp: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = Math.exp(x[i]); },
  log: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = Math.log(x[i]); },
  sqrt: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = Math.sqrt(x[i]); },
  rsqrt: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = 1 / Math.sqrt(x[i]); },
  square: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = x[i] * x[i]; },
  reciprocal: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = 1 / x[i]; },
  tanh: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = Math.tanh(x[i]); },
  erf: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = erf(x[i]); },
  sigmoid: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = 1 / (1 + Math.exp(-x[i])); },
  relu: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = Math.max(x[i], 0); },
  sin: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = Math.sin(x[i]); },
  cos: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = Math.cos(x[i]); },
  floor: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = Math.floor(x[i]); },
  ceil: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = Math.ceil(x[i]); },
  logicalNot: (z, x) => { for (let i = 0; i < z.length; i++) z[i] = x[i] ? 0 : 1; },
};

/** z[o + i] from a[p + i·r] and b[q + i·s] for i < n; steps are 0 or 1. */
type BinaryLoop = (z: HostArray, o: number, n: number, a: HostArray, p: number, r: number, b: HostArray, q: number, s: number) => void;

const binaryLoops: Record<BinaryOp, BinaryLoop> = {
  add: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = a[p + i * r] + b[q + i * s]; },
  subtract: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = a[p + i * r] - b[q + i * s]; },
  multiply: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = a[p + i * r] * b[q + i * s]; },
  divide: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = a[p + i * r] / b[q + i * s]; },
  maximum: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = Math.max(a[p + i * r], b[q + i * s]); },
  minimum: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = Math.min(a[p + i * r], b[q + i * s]); },
  power: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = a[p + i * r] ** b[q + i * s]; },
  floorDivide: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = Math.floor(a[p + i * r] / b[q + i * s]); },
  remainder: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = floorRemainder(a[p + i * r], b[q + i * s]); },
  logicalAnd: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = a[p + i * r] && b[q + i * s] ? 1 : 0; },
  logicalOr: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = a[p + i * r] || b[q + i * s] ? 1 : 0; },
};

/** Products of int32 can pass 2^53: only imul is exact modulo 2^32. */
const multiplyIntegers: BinaryLoop = (z, o, n, a, p, r, b, q, s) => {
  for (let i = 0; i < n; i++) z[o + i] = Math.imul(a[p + i * r], b[q + i * s]);
};

const compareLoops: Record<CompareOp, BinaryLoop> = {
  equal: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = a[p + i * r] === b[q + i * s] ? 1 : 0; },
  notEqual: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = a[p + i * r] !== b[q + i * s] ? 1 : 0; },
  less: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = a[p + i * r] < b[q + i * s] ? 1 : 0; },
  lessEqual: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = a[p + i * r] <= b[q + i * s] ? 1 : 0; },
  greater: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = a[p + i * r] > b[q + i * s] ? 1 : 0; },
  greaterEqual: (z, o, n, a, p, r, b, q, s) => { for (let i = 0; i < n; i++) z[o + i] = a[p + i * r] >= b[q + i * s] ? 1 : 0; },
};

function floorRemainder(a: number, b: number): number {
  return a - b * Math.floor(a / b);
}

/** Runs `loop` over the broadcast of a and b. */
function broadcastBinary(out: Operand, a: Operand, b: Operand, loop: BinaryLoop) {
  return ([z]: HostArray[], [left, right]: HostArray[]): void =>
    eachRun(out.shape, [a.shape, b.shape], (start, length, starts, steps) =>
      loop(z, start, length, left, starts[0], steps[0], right, starts[1], steps[1]),
    );
}

type Elementwise = 'fill' | 'iota' | 'unary' | 'binary' | 'compare' | 'select' | 'cast';

export function hostElementwise(memory: Memory): Pick<RequiredKernels, Elementwise> {
  return {
    fill: (_inputs, { out }, { value }) => memory.run([out], [], ([z]) => void z.fill(out.dtype === 'bool' && value !== 0 ? 1 : value)),
    iota: (_inputs, { out }, { start, step }) =>
      memory.run([out], [], ([z]) => {
        for (let i = 0; i < z.length; i++) z[i] = start + i * step;
      }),
    unary: ({ x }, { out }, { op }) => memory.run([out], [x], ([z], [source]) => unaryLoops[op](z, source)),
    binary: ({ a, b }, { out }, { op }) => {
      const loop = op === 'multiply' && out.dtype !== 'float32' ? multiplyIntegers : binaryLoops[op];
      memory.run([out], [a, b], broadcastBinary(out, a, b, loop));
    },
    compare: ({ a, b }, { out }, { op }) => memory.run([out], [a, b], broadcastBinary(out, a, b, compareLoops[op])),
    select: ({ condition, a, b }, { out }) =>
      memory.run([out], [condition, a, b], ([z], [test, yes, no]) => {
        eachRun(out.shape, [condition.shape, a.shape, b.shape], (start, length, starts, strides) => {
          for (let i = 0; i < length; i++) {
            z[start + i] = test[starts[0] + i * strides[0]] ? yes[starts[1] + i * strides[1]] : no[starts[2] + i * strides[2]];
          }
        });
      }),
    cast: ({ x }, { out }) =>
      memory.run([out], [x], ([z], [source]) => {
        if (out.dtype !== 'bool' && out.dtype !== 'float32' && x.dtype === 'float32') toWhole(source, z as Int32Array | Uint32Array);
        else if (out.dtype !== 'bool') z.set(source);
        else for (let i = 0, n = sizeOf(x.shape); i < n; i++) z[i] = source[i] !== 0 ? 1 : 0;
      }),
  };
}
