// Unrecorded reductions over axes, and `sumTo`, the gradient of broadcasting. Users call reduce.ts.
import type { ReduceOp } from '../contract.js';
import { axisView, padRank, sameShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';

/** `shape` with the given axes set to 1. */
export function withOnes(shape: Shape, axes: readonly number[]): number[] {
  return shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
}

/** Reduces ascending `axes`, each run of neighbours with one kernel call, last run first. Keeps them with size 1. */
export function reduceAxes(x: Tensor, axes: readonly number[], op: ReduceOp): Tensor {
  const { engine } = x;
  let current = x;
  let end = axes.length;
  while (end > 0) {
    let start = end - 1;
    while (start > 0 && axes[start - 1] === axes[start]! - 1) start--;
    const run = axes.slice(start, end);
    const out = engine.empty(withOnes(current.shape, run), x.dtype);
    engine.kernels.reduce(current, out, { op, ...axisView(current.shape, run[0]!, run[run.length - 1]!) });
    current = out;
    end = start;
  }
  return current === x ? engine.alias(x) : current;
}

/** Sums x over the axes that broadcasting `shape` to x.shape had repeated; x itself if there are none. Unrecorded. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const padded = padRank(shape, x.rank);
  const axes = x.shape.flatMap((extent, axis) => (padded[axis] === 1 && extent !== 1 ? [axis] : []));
  return x.engine.alias(reduceAxes(x, axes, 'sum'), shape);
}
