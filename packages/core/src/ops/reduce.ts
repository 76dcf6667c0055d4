// Reductions along axes and scans, with their gradients.
import type { DType } from '../dtype.js';
import { XMoEError } from '../errors.js';
import { axisView, formatShape, normalizeAxis, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { requireDType, requireFloat, requireList, requireOptions } from './check.js';
import { cast, divide, equal, multiply, subtract } from './elementwise.js';
import { broadcastTo, reshape } from './movement.js';
import { reduceAxes, withOnes } from './sum-to.js';
import { viewRows } from './view.js';

const ORDERED: readonly DType[] = ['float32', 'float16', 'int32'];

export interface ReduceOptions {
  /** Keep the reduced axes with size 1. */
  readonly keepAxes?: boolean;
}

/** The axes, sorted, counted from the front; all when undefined. */
function resolveAxes(x: Tensor, axes: number | readonly number[] | undefined, op: string): number[] {
  if (axes === undefined) return x.shape.map((_, axis) => axis);
  const list = typeof axes === 'number' ? [axes] : axes;
  requireList(op, 'the list of axes', list);
  return [...new Set(list.map((axis) => normalizeAxis(axis, x.rank, op)))].sort((a, b) => a - b);
}

const without = (shape: Shape, axes: readonly number[]): number[] => shape.filter((_, axis) => !axes.includes(axis));

/** Σ over `axes` (all by default). float or int32. */
export function sum(x: Tensor, axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
  requireDType('sum', 'x', x, ...ORDERED);
  requireOptions('sum', options);
  const resolved = resolveAxes(x, axes, 'sum');
  const kept = reduceAxes(x, resolved, 'sum');
  const out = options.keepAxes ? kept : x.engine.alias(kept, without(x.shape, resolved));
  const shape = x.shape;
  x.engine.tape?.record({
    op: 'sum',
    inputs: [x],
    outputs: [out],
    saved: [],
    backward: ([dy]) => [broadcastTo(reshape(dy!, withOnes(shape, resolved)), shape)],
  });
  return out;
}

/** Arithmetic mean over `axes` (all by default), computed in float32. float. */
export function mean(x: Tensor, axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
  requireFloat('mean', 'x', x);
  requireOptions('mean', options);
  const resolved = resolveAxes(x, axes, 'mean');
  const count = resolved.reduce((product, axis) => product * x.shape[axis]!, 1);
  return cast(divide(sum(cast(x, 'float32'), resolved, options), count), x.dtype);
}

function extreme(op: 'max' | 'min') {
  return (x: Tensor, axes?: number | readonly number[], options: ReduceOptions = {}): Tensor => {
    requireDType(op, 'x', x, ...ORDERED);
    requireOptions(op, options);
    const resolved = resolveAxes(x, axes, op);
    const kept = reduceAxes(x, resolved, op);
    const out = options.keepAxes ? kept : x.engine.alias(kept, without(x.shape, resolved));
    const ones = withOnes(x.shape, resolved);
    x.engine.tape?.record({
      op,
      inputs: [x],
      outputs: [out],
      saved: [x, out],
      backward: ([dy], [input, result]) => {
        const hits = cast(equal(input!, reshape(result!, ones)), 'float32'); // float16 counts to 65,504 only
        const share = divide(cast(reshape(dy!, ones), 'float32'), sum(hits, resolved, { keepAxes: true }));
        return [cast(multiply(hits, share), dy!.dtype)];
      },
    });
    return out;
  };
}

/** Largest element over `axes`. Equal largest elements share the gradient. */
export const max = extreme('max');
/** Smallest element over `axes`. Equal smallest elements share the gradient. */
export const min = extreme('min');

function argExtreme(op: 'max' | 'min') {
  const name = op === 'max' ? 'argMax' : 'argMin';
  return (x: Tensor, axis = -1): Tensor => {
    requireDType(name, 'x', x, ...ORDERED);
    const along = normalizeAxis(axis, x.rank, name);
    if (x.shape[along] === 0) {
      throw new XMoEError('shape', `axis ${along} of ${formatShape(x.shape)} is empty`, { op: name, hint: 'an empty axis has no extreme' });
    }
    const out = x.engine.empty(without(x.shape, [along]), 'int32');
    x.engine.kernels.argReduce({ x }, { out }, { op, ...axisView(x.shape, along) });
    return out;
  };
}

/** Lowest index of the largest element along `axis`: int32. No gradient. */
export const argMax = argExtreme('max');
/** Lowest index of the smallest element along `axis`: int32. No gradient. */
export const argMin = argExtreme('min');

/** Running sum along the last axis. float32 (differentiable) or int32. `exclusive` starts at 0. */
export function cumsum(x: Tensor, options: { exclusive?: boolean } = {}): Tensor {
  requireDType('cumsum', 'x', x, 'float32', 'int32');
  requireOptions('cumsum', options);
  const exclusive = options.exclusive ?? false;
  const out = x.engine.empty(x.shape, x.dtype);
  x.engine.kernels.cumsum({ x: viewRows(x) }, { out: viewRows(out) }, { exclusive });
  x.engine.tape?.record({
    op: 'cumsum',
    inputs: [x],
    outputs: [out],
    saved: [],
    // dx_i = Σ_{j ≥ i} dy_j (j > i when exclusive) = total − the opposite running sum.
    backward: ([dy]) => [subtract(sum(dy!, x.rank === 0 ? [] : -1, { keepAxes: true }), cumsum(dy!, { exclusive: !exclusive }))],
  });
  return out;
}
