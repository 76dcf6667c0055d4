// Unrecorded reductions over axes, and `sumTo`, the gradient of broadcasting. Users call reduce.ts.
import type { ReduceOp } from '../contract.js';
import type { DType } from '../dtype.js';
import { axisView, padRank, sameShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';

/** `shape` with the given axes set to 1. */
export function withOnes(shape: Shape, axes: readonly number[]): number[] {
  return shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
}

/**
 * Reduces ascending `axes`, each run of neighbours with one kernel call, last run first. Keeps them with size 1. float16 is rounded once:
 * sums on the way to a sum are float32.
 */
export function reduceAxes(x: Tensor, axes: readonly number[], op: ReduceOp): Tensor {
  const { engine } = x;
  const isRun = axes.every((axis, index) => index === 0 || axis === axes[index - 1]! + 1);
  if (x.dtype === 'float16' && op === 'sum' && !isRun) return converted(reduceAxes(converted(x, 'float32'), axes, op), 'float16');
  let current = x;
  let end = axes.length;
  while (end > 0) {
    let start = end - 1;
    while (start > 0 && axes[start - 1] === axes[start]! - 1) start--;
    const run = axes.slice(start, end);
    const out = engine.empty(withOnes(current.shape, run), x.dtype);
    engine.kernels.reduce({ x: current }, { out }, { op, ...axisView(current.shape, run[0]!, run[run.length - 1]!) });
    current = out;
    end = start;
  }
  return current === x ? engine.alias(x) : current;
}

function converted(x: Tensor, dtype: DType): Tensor {
  const out = x.engine.empty(x.shape, dtype);
  x.engine.kernels.cast({ x }, { out });
  return out;
}

/** Sums x over the axes that broadcasting `shape` to x.shape had repeated; x itself if there are none. Unrecorded. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const padded = padRank(shape, x.rank);
  const axes = x.shape.flatMap((extent, axis) => (padded[axis] === 1 && extent !== 1 ? [axis] : []));
  return x.engine.alias(reduceAxes(x, axes, 'sum'), shape);
}
