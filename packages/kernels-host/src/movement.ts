// Kernels that only move elements (of any dtype, bit for bit): transpose, slice, broadcast, concat.
import { stridesOf, type KernelAttributes } from '@xmoe/core/backend';
import { elements, type NumericArray, type ViewInputs, type ViewOutputs } from './host-view.js';

export function transpose(
  { x }: ViewInputs<'transpose'>,
  { out }: ViewOutputs<'transpose'>,
  { permutation }: KernelAttributes<'transpose'>,
): void {
  const strides = stridesOf(x.shape);
  copyStrided(elements(x), 0, permutation.map((axis) => strides[axis]), elements(out), out.shape);
}

export function slice({ x }: ViewInputs<'slice'>, { out }: ViewOutputs<'slice'>, { begin }: KernelAttributes<'slice'>): void {
  const strides = stridesOf(x.shape);
  const start = begin.reduce((sum, index, axis) => sum + index * strides[axis], 0);
  copyStrided(elements(x), start, strides, elements(out), out.shape);
}

export function broadcast({ x }: ViewInputs<'broadcast'>, { out }: ViewOutputs<'broadcast'>): void {
  const strides = stridesOf(x.shape).map((stride, axis) => (x.shape[axis] === 1 ? 0 : stride));
  copyStrided(elements(x), 0, strides, elements(out), out.shape);
}

export function concat({ parts }: ViewInputs<'concat'>, { out }: ViewOutputs<'concat'>, { axis }: KernelAttributes<'concat'>): void {
  const target = elements(out);
  const outer = out.shape.slice(0, axis).reduce((product, extent) => product * extent, 1);
  const outRow = target.length / Math.max(1, outer);
  let offset = 0;
  for (const input of parts) {
    const source = elements(input);
    const row = source.length / Math.max(1, outer);
    for (let block = 0; block < outer; block++) {
      copyRun(source, block * row, 1, target, block * outRow + offset, row);
    }
    offset += row;
  }
}

/** target (dense, of `shape`) = the elements of source at start + Σ index·stride. */
function copyStrided(
  source: NumericArray, start: number, strides: readonly number[],
  target: NumericArray, shape: readonly number[],
): void {
  if (shape.length === 0) {
    target[0] = source[start];
    return;
  }
  const last = shape.length - 1;
  const length = shape[last];
  const position = new Array<number>(last).fill(0);
  let from = start;
  for (let to = 0; to < target.length; to += length) {
    copyRun(source, from, strides[last], target, to, length);
    for (let axis = last - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++position[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      position[axis] = 0;
    }
  }
}

/** Fewer elements than this are copied one by one: `set` with `subarray` costs about as much as this many. */
const SHORT_RUN = 12;

export function copyRun(
  source: NumericArray, from: number, stride: number, target: NumericArray, to: number, length: number,
): void {
  if (stride === 1 && length >= SHORT_RUN) target.set(source.subarray(from, from + length), to);
  else if (stride === 0 && length >= SHORT_RUN) target.fill(source[from], to, to + length);
  else for (const end = to + length; to < end; to++, from += stride) target[to] = source[from];
}
