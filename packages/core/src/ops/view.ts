// Tensors seen with another shape for one kernel call: no new tensor, nothing recorded. Not a reshape for users.
import type { Operand } from '../contract.js';
import { sizeOf, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';

/** The buffer of `tensor` with another shape of the same size. */
export function view(tensor: Tensor, shape: Shape): Operand {
  return { buffer: tensor.buffer, shape, dtype: tensor.dtype };
}

/** As [R, C], C the last axis (1 for a scalar). Rows of no columns count as no rows. */
export function viewRows(tensor: Tensor): Operand {
  const width = tensor.shape[tensor.rank - 1] ?? 1;
  return view(tensor, [width === 0 ? 0 : sizeOf(tensor.shape) / width, width]);
}
