// The kernels that move elements on the compiled ones: strided views of any dtype as runs of bytes, matrices of 4-byte
// elements as tiles. What is neither stays plain.
import { sizeOf, type Kernels, type Operand } from '@xmoe/core';
import { bytesPerElement, stridesOf } from '@xmoe/core/backend';
import type { WasmRuntime } from '../runtime.js';
import { grainOf } from './grain.js';

/** Element (i0, i1, …) lies at Σ i·stride. */
interface View {
  readonly extents: readonly number[];
  readonly strides: readonly number[];
}

/** Without axes of one element, neighbouring axes merged where one step of the first is a walk along the second. */
function mergeAxes(extents: readonly number[], strides: readonly number[]): View {
  const merged: { extents: number[]; strides: number[] } = { extents: [], strides: [] };
  for (let axis = 0; axis < extents.length; axis++) {
    if (extents[axis] === 1) continue;
    const last = merged.extents.length - 1;
    if (last >= 0 && merged.strides[last] === strides[axis] * extents[axis]) {
      merged.extents[last] *= extents[axis];
      merged.strides[last] = strides[axis];
    } else {
      merged.extents.push(extents[axis]);
      merged.strides.push(strides[axis]);
    }
  }
  return merged;
}

/** The most axes in front of the runs that the kernel walks. */
const MOST_AXES = 4;

/** Copies the view of x from element `start` on into out; false if it does not consist of runs. */
function copyRuns(runtime: WasmRuntime, x: Operand, start: number, { extents, strides }: View, out: Operand): boolean {
  const axes = extents.length - 1;
  const isDense = axes < 0;
  if (!isDense && (strides[axes] !== 1 || axes > MOST_AXES)) return false;
  const size = bytesPerElement(x.dtype);
  const bytes = (isDense ? 1 : extents[axes]) * size;
  // One or two axes are walked as the third and fourth, so that there are items to share.
  const front = Math.max(0, axes <= 2 ? 2 : MOST_AXES - axes);
  const [n, step] = [[1, 1, 1, 1], [0, 0, 0, 0]];
  for (let axis = 0; axis < axes; axis++) {
    n[front + axis] = extents[axis];
    step[front + axis] = strides[axis] * size;
  }
  runtime.parallel('copyRuns', n[0] * n[1] * n[2], grainOf((n[3] * (bytes + 16)) / 4), [
    runtime.pointer(x) + start * size, runtime.pointer(out), n[1], n[2], n[3], ...step, bytes,
  ]);
  return true;
}

/** A matrix, or several one after the other, with rows and columns exchanged. */
function transposeMatrices(runtime: WasmRuntime, x: Operand, { extents, strides }: View, out: Operand): boolean {
  const [batch, columns, rows] = extents.length === 2 ? [1, ...extents] : extents;
  const [, fromColumn, fromRow] = extents.length === 2 ? [0, ...strides] : strides;
  const isStack = extents.length === 2 || (extents.length === 3 && strides[0] === rows * columns);
  if (!isStack || fromColumn !== 1 || fromRow !== columns || bytesPerElement(x.dtype) !== 4) return false;
  runtime.parallel('transposeMatrices', batch * Math.ceil(columns / 4), grainOf(8 * rows), [runtime.pointer(x), runtime.pointer(out), rows, columns]);
  return true;
}

export function createMovement(runtime: WasmRuntime, plain: Kernels): Pick<Kernels, 'transpose' | 'slice' | 'broadcast' | 'concat'> {
  const { pointer } = runtime;
  return {
    transpose({ x }, { out }, attributes) {
      if (sizeOf(out.shape) === 0) return;
      const strides = stridesOf(x.shape);
      const view = mergeAxes(out.shape, attributes.permutation.map((axis) => strides[axis]));
      if (!copyRuns(runtime, x, 0, view, out) && !transposeMatrices(runtime, x, view, out)) plain.transpose({ x }, { out }, attributes);
    },
    slice({ x }, { out }, attributes) {
      if (sizeOf(out.shape) === 0) return;
      const strides = stridesOf(x.shape);
      const start = attributes.begin.reduce((sum, index, axis) => sum + index * strides[axis], 0);
      if (!copyRuns(runtime, x, start, mergeAxes(out.shape, strides), out)) plain.slice({ x }, { out }, attributes);
    },
    broadcast({ x }, { out }) {
      if (sizeOf(out.shape) === 0) return;
      const strides = stridesOf(x.shape).map((stride, axis) => (x.shape[axis] === 1 ? 0 : stride));
      if (!copyRuns(runtime, x, 0, mergeAxes(out.shape, strides), out)) plain.broadcast({ x }, { out });
    },
    concat({ parts }, { out }, { axis }) {
      const outer = sizeOf(out.shape.slice(0, axis));
      if (outer === 0) return;
      const size = bytesPerElement(out.dtype);
      const outBytes = (sizeOf(out.shape) / outer) * size;
      let to = pointer(out);
      for (const input of parts) {
        const bytes = (sizeOf(input.shape) / outer) * size;
        runtime.parallel('copyRows', bytes === 0 ? 0 : outer, grainOf(bytes / 4), [pointer(input), bytes, to, outBytes, bytes]);
        to += bytes;
      }
    },
  };
}
