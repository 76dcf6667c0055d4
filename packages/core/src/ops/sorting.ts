// Sorting, top-k, counting. Selection has no gradient; the values of topK do.
import { XMoEError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { requireDType, requireFloat, requireRank } from './check.js';
import { addAlongLast } from './indexing.js';
import { view } from './view.js';

export interface TopK {
  /** [R, k], descending. */
  values: Tensor;
  /** int32 [R, k]. */
  indices: Tensor;
}

/** The k largest of each row, descending; ties by lowest index. x float [R, C]. Differentiable in the values. */
export function topK(x: Tensor, k: number): TopK {
  requireRank('topK', 'x', x, 2);
  requireFloat('topK', 'x', x);
  const columns = x.shape[1]!;
  if (!Number.isInteger(k) || k < 0 || k > columns) {
    throw new XMoEError('value', `k is ${k}, the rows have ${columns} elements`, { op: 'topK', hint: `pass k from 0 to ${columns}` });
  }
  const values = x.engine.empty([x.shape[0]!, k], x.dtype);
  const indices = x.engine.empty([x.shape[0]!, k], 'int32');
  x.engine.kernels.topK({ x }, { values, indices });
  x.engine.tape?.record({ op: 'topK', inputs: [x], outputs: [values], saved: [indices], backward: ([dy], [at]) => [addAlongLast(dy!, at!, columns)] });
  return { values, indices };
}

/** Stable ascending argsort of keys float32 or int32 [n]: int32 [n]. Sort by several keys from the last to the first. */
export function sortByKey(keys: Tensor): Tensor {
  requireRank('sortByKey', 'keys', keys, 1);
  requireDType('sortByKey', 'keys', keys, 'float32', 'int32');
  const permutation = keys.engine.empty(keys.shape, 'int32');
  keys.engine.kernels.sortByKey({ keys }, { permutation });
  return permutation;
}

/** How often each of 0 … bins − 1 occurs in x int32 (any shape): int32 [bins]. Other values are ignored. */
export function bincount(x: Tensor, bins: number): Tensor {
  requireDType('bincount', 'x', x, 'int32');
  const out = x.engine.empty([bins], 'int32');
  x.engine.kernels.bincount({ x: view(x, [x.size]) }, { out });
  return out;
}
