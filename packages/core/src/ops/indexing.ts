// Ops that read or write by index: rows (embedding, dispatch) and along the last axis. Differentiable in the values.
import { sizeOf } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { requireDType, requireExtent, requireRank } from './check.js';

/**
 * out[i] = x[indices[i]], zeros where the index is outside 0 … R − 1 (use −1 for "nothing").
 * x [R, ...], indices int32 of any shape → [...indices.shape, ...]. Any dtype.
 */
export function gatherRows(x: Tensor, indices: Tensor): Tensor {
  const op = 'gatherRows';
  const { engine } = x;
  requireDType(op, 'indices', indices, 'int32');
  const rows = x.shape[0]!;
  const width = sizeOf(x.shape.slice(1));
  const out = engine.empty([...indices.shape, ...x.shape.slice(1)], x.dtype);
  const flatIndices = { buffer: indices.buffer, shape: [indices.size], dtype: indices.dtype };
  engine.kernels.gatherRows({ buffer: x.buffer, shape: [rows, width], dtype: x.dtype }, flatIndices, {
    buffer: out.buffer,
    shape: [indices.size, width],
    dtype: x.dtype,
  });
  const shape = x.shape;
  engine.tape?.record({
    op,
    inputs: [x],
    outputs: [out],
    saved: [indices],
    backward: ([dy], [at]) => [engine.alias(scatterAddRows(flatten(dy!, width), flatten(at!), rows), shape)],
  });
  return out;
}

/**
 * out[r] = Σ x[i] over i with indices[i] = r, in ascending i; indices outside are dropped.
 * x [n, D], indices int32 [n] → [rows, D]. float or int32.
 */
export function scatterAddRows(x: Tensor, indices: Tensor, rows: number): Tensor {
  const op = 'scatterAddRows';
  requireRank(op, 'x', x, 2);
  requireDType(op, 'indices', indices, 'int32');
  requireExtent(op, 'the number of indices', indices.size, x.shape[0]!);
  const out = x.engine.empty([rows, x.shape[1]!], x.dtype);
  x.engine.kernels.scatterAddRows(x, indices, out);
  x.engine.tape?.record({ op, inputs: [x], outputs: [out], saved: [indices], backward: ([dy], [at]) => [gatherRows(dy!, at!)] });
  return out;
}

/** out[r, j] = x[r, indices[r, j]], 0 where the index is outside. x [R, C], indices int32 [R, k] → [R, k]. */
export function takeAlongLast(x: Tensor, indices: Tensor): Tensor {
  const op = 'takeAlongLast';
  checkAlong(op, x, indices);
  const out = x.engine.empty(indices.shape, x.dtype);
  x.engine.kernels.takeAlongLast(x, indices, out);
  const columns = x.shape[1]!;
  x.engine.tape?.record({ op, inputs: [x], outputs: [out], saved: [indices], backward: ([dy], [at]) => [addAlongLast(dy!, at!, columns)] });
  return out;
}

/** out[r, c] = Σ_j x[r, j] over j with indices[r, j] = c. x [R, k], indices int32 [R, k] → [R, columns]. */
export function addAlongLast(x: Tensor, indices: Tensor, columns: number): Tensor {
  const op = 'addAlongLast';
  checkAlong(op, x, indices);
  requireExtent(op, 'the width of indices', indices.shape[1]!, x.shape[1]!);
  const out = x.engine.empty([x.shape[0]!, columns], x.dtype);
  x.engine.kernels.addAlongLast(x, indices, out);
  x.engine.tape?.record({ op, inputs: [x], outputs: [out], saved: [indices], backward: ([dy], [at]) => [takeAlongLast(dy!, at!)] });
  return out;
}

function checkAlong(op: string, x: Tensor, indices: Tensor): void {
  requireRank(op, 'x', x, 2);
  requireRank(op, 'indices', indices, 2);
  requireDType(op, 'indices', indices, 'int32');
  requireExtent(op, 'the number of rows of indices', indices.shape[0]!, x.shape[0]!);
}

function flatten(x: Tensor, width?: number): Tensor {
  return x.engine.alias(x, width === undefined ? [x.size] : [width === 0 ? 0 : x.size / width, width]);
}
