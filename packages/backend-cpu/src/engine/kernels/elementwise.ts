// unary and binary of float32, and select of 4-byte elements, on the compiled kernels: equal shapes, scalars, and what merges to rows. The rest
// stays plain.
import { sizeOf, type BinaryOp, type Kernels, type UnaryOp } from '@xmoe/core';
import { bytesPerElement, collapseBroadcast } from '@xmoe/core/backend';
import type { WasmRuntime } from '../runtime.js';
import { grainOf } from './grain.js';

/** The ops that assembly/elementwise.ts has a function of the same name for, and their cost. */
const UNARY: Partial<Record<UnaryOp, number>> = {
  negate: 1, abs: 1, sign: 1, exp: 4, log: 6, sqrt: 2, rsqrt: 3, square: 1, reciprocal: 2, tanh: 8, erf: 10, sigmoid: 6, relu: 1,
  floor: 1, ceil: 1,
};

/** Code of each op in assembly/elementwise.ts. */
const BINARY: Partial<Record<BinaryOp, number>> = { add: 0, subtract: 1, multiply: 2, divide: 3, maximum: 4, minimum: 5 };

export function createElementwise(runtime: WasmRuntime, plain: Kernels): Pick<Kernels, 'unary' | 'binary' | 'select'> {
  return {
    unary({ x }, { out }, attributes) {
      const cost = UNARY[attributes.op];
      if (cost === undefined || x.dtype !== 'float32') return plain.unary({ x }, { out }, attributes);
      runtime.parallel(attributes.op, sizeOf(out.shape), grainOf(cost), [runtime.pointer(x), runtime.pointer(out)]);
    },

    binary({ a, b }, { out }, attributes) {
      const code = BINARY[attributes.op];
      if (code === undefined || out.dtype !== 'float32') return plain.binary({ a, b }, { out }, attributes);
      const { out: extents, inputs: [left, right] } = collapseBroadcast(out.shape, a.shape, b.shape);
      if (extents.length > 2) return plain.binary({ a, b }, { out }, attributes);
      const [from, other, to] = [runtime.pointer(a), runtime.pointer(b), runtime.pointer(out)];
      const columns = extents[extents.length - 1];
      const [stepA, stepB] = [stepOf(left, columns), stepOf(right, columns)];
      if (extents.length === 1) {
        runtime.parallel('binaryFlat', columns, grainOf(1), [from, stepA, other, stepB, to, code]);
        return;
      }
      const [rowA, rowB] = [rowStrideOf(left), rowStrideOf(right)];
      runtime.parallel('binaryRows', extents[0], grainOf(columns), [from, rowA, stepA, other, rowB, stepB, to, columns, code]);
    },

    select({ condition, a, b }, { out }) {
      const { out: extents, inputs } = collapseBroadcast(out.shape, condition.shape, a.shape, b.shape);
      if (extents.length > 2 || bytesPerElement(out.dtype) !== 4) return plain.select({ condition, a, b }, { out });
      const columns = extents[extents.length - 1];
      const operands = [condition, a, b].map((operand, index) => ({ at: runtime.pointer(operand), row: rowStrideOf(inputs[index]), step: stepOf(inputs[index], columns) }));
      if (extents.length === 1) {
        runtime.parallel('selectFlat', columns, grainOf(1), [...operands.flatMap(({ at, step }) => [at, step]), runtime.pointer(out)]);
      } else {
        runtime.parallel('selectRows', extents[0], grainOf(columns), [...operands.flatMap(({ at, row, step }) => [at, row, step]), runtime.pointer(out), columns]);
      }
    },
  };
}

/** How far the next element of a row is: 0 where one element serves the whole row. */
function stepOf(shape: readonly number[], columns: number): number {
  return shape[shape.length - 1] === columns ? 1 : 0;
}

/** How far the next row is: 0 where one row serves all. */
function rowStrideOf([rows, columns]: readonly number[]): number {
  return rows === 1 ? 0 : columns;
}
