// Ops that read or write by index: rows (embedding, dispatch) and along the last axis. Differentiable in the values.
import { XMoEError } from '../errors.js';
import { sizeOf } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { engineOf, requireAlive, requireDType, requireExtent, requireRank, requireSameEngine } from './check.js';
import { view } from './view.js';

/**
 * out[i] = x[indices[i]], zeros where the index is outside 0 … R − 1 (use −1 for "nothing").
 * x [R, ...], indices int32 of any shape → [...indices.shape, ...]. Any dtype.
 */
export function gatherRows(x: Tensor, indices: Tensor): Tensor {
  const op = 'gatherRows';
  const engine = engineOf(op, 'x', x);
  requireSameEngine(op, x, indices);
  requireAlive(op, 'x', x);
  requireDType(op, 'indices', indices, 'int32');
  if (x.rank === 0) throw new XMoEError('shape', 'x is a scalar: it has no rows', { op, hint: 'pass x with one axis or more' });
  const rows = x.shape[0]!;
  const width = sizeOf(x.shape.slice(1));
  const count = indices.size;
  const out = engine.empty([...indices.shape, ...x.shape.slice(1)], x.dtype);
  engine.kernels.gatherRows({ x: view(x, [rows, width]), indices: view(indices, [count]) }, { out: view(out, [count, width]) });
  const { shape } = x;
  engine.tape?.record({
    op,
    inputs: [x],
    outputs: [out],
    saved: [indices],
    backward: ([dy], [at]) => {
      const dx = engine.empty(shape, dy!.dtype);
      engine.kernels.scatterAddRows({ x: view(dy!, [count, width]), indices: view(at!, [count]) }, { out: view(dx, [rows, width]) });
      return [dx];
    },
    // A table that is read here and elsewhere, as a tied embedding is: only the rows that were read change.
    addTo: x.dtype === 'float32' && engine.backend.kernels.addRows
      ? ([dy], [at], sums) => engine.kernels.addRows({ x: view(dy!, [count, width]), indices: view(at!, [count]) }, { sums: view(sums, [rows, width]) })
      : undefined,
  });
  return out;
}

/**
 * out[r] = Σ x[i] over i with indices[i] = r, in ascending i; indices outside are dropped.
 * x [n, D], indices int32 [n] → [rows, D]. float or int32.
 */
export function scatterAddRows(x: Tensor, indices: Tensor, rows: number): Tensor {
  const op = 'scatterAddRows';
  requireSameEngine(op, x, indices);
  requireRank(op, 'x', x, 2);
  requireDType(op, 'x', x, 'float32', 'float16', 'int32');
  requireRank(op, 'indices', indices, 1);
  requireDType(op, 'indices', indices, 'int32');
  requireExtent(op, 'the number of indices', indices.size, x.shape[0]!);
  const out = x.engine.empty([rows, x.shape[1]!], x.dtype);
  x.engine.kernels.scatterAddRows({ x, indices }, { out });
  x.engine.tape?.record({ op, inputs: [x], outputs: [out], saved: [indices], backward: ([dy], [at]) => [gatherRows(dy!, at!)] });
  return out;
}

/**
 * In place: sums[indices[i]] += x[i], one after the other in ascending i; indices outside add nothing. No gradient: for buffers that are filled
 * step by step. sums [R, D], x [n, D], indices int32 [n]; float32. Where `engine.backend.kernels` has no `addRows` it takes passes over all of sums.
 */
export function addRows(sums: Tensor, x: Tensor, indices: Tensor): void {
  const op = 'addRows';
  requireSameEngine(op, sums, x, indices);
  for (const [name, tensor] of [['sums', sums], ['x', x]] as const) {
    requireRank(op, name, tensor, 2);
    requireDType(op, name, tensor, 'float32');
  }
  requireRank(op, 'indices', indices, 1);
  requireDType(op, 'indices', indices, 'int32');
  requireExtent(op, 'the width of x', x.shape[1]!, sums.shape[1]!);
  requireExtent(op, 'the number of indices', indices.size, x.shape[0]!);
  sums.engine.kernels.addRows({ x, indices }, { sums });
}

/** out[r, j] = x[r, indices[r, j]], 0 where the index is outside. x [R, C], indices int32 [R, k] → [R, k]. */
export function takeAlongLast(x: Tensor, indices: Tensor): Tensor {
  const op = 'takeAlongLast';
  checkAlong(op, x, indices);
  const out = x.engine.empty(indices.shape, x.dtype);
  x.engine.kernels.takeAlongLast({ x, indices }, { out });
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
  x.engine.kernels.addAlongLast({ x, indices }, { out });
  x.engine.tape?.record({ op, inputs: [x], outputs: [out], saved: [indices], backward: ([dy], [at]) => [takeAlongLast(dy!, at!)] });
  return out;
}

function checkAlong(op: string, x: Tensor, indices: Tensor): void {
  requireSameEngine(op, x, indices);
  requireRank(op, 'x', x, 2);
  requireDType(op, 'x', x, 'float32', 'float16', 'int32');
  requireRank(op, 'indices', indices, 2);
  requireDType(op, 'indices', indices, 'int32');
  requireExtent(op, 'the number of rows of indices', indices.shape[0]!, x.shape[0]!);
}
