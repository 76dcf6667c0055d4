// Walks NumPy broadcasts as runs over the innermost axis. Knows strides, not operations.
import { type Shape } from '@xmoe/core';
import { collapseBroadcast, stridesOf } from '@xmoe/core/backend';

/** One run: `length` outputs from `out`, input i from `starts[i]` with stride `strides[i]` (0 or 1). */
export type Run = (out: number, length: number, starts: readonly number[], strides: readonly number[]) => void;

/** Calls `run` for each innermost row of `out`. Inputs have the rank of `out`. `starts` is reused between calls. */
export function eachRun(out: Shape, inputs: readonly Shape[], run: Run): void {
  const view = collapseBroadcast(out, ...inputs);
  const rank = view.out.length;
  const length = view.out[rank - 1];
  const strides = view.inputs.map((shape) => stridesOf(shape).map((stride, axis) => (shape[axis] === 1 && view.out[axis] !== 1 ? 0 : stride)));
  const inner = strides.map((list) => list[rank - 1]);
  const starts = inputs.map(() => 0);
  const index = new Array<number>(rank).fill(0);
  let rows = 1;
  for (let axis = 0; axis < rank - 1; axis++) rows *= view.out[axis];
  if (length === 0) return;
  for (let row = 0; row < rows; row++) {
    run(row * length, length, starts, inner);
    for (let axis = rank - 2; axis >= 0; axis--) {
      const wraps = ++index[axis] === view.out[axis];
      const step = wraps ? 1 - view.out[axis] : 1;
      for (let i = 0; i < starts.length; i++) starts[i] += step * strides[i][axis];
      if (!wraps) break;
      index[axis] = 0;
    }
  }
}
