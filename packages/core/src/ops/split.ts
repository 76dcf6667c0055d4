// Cuts a tensor into parts along one axis: the inverse of concat, with one concat as its gradient.
import { XMoEError } from '../errors.js';
import { formatShape, normalizeAxis } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { engineOf, requireAlive, requireList } from './check.js';

/** Parts of x along `axis` with the given sizes, which add up to the extent of that axis. Any dtype. */
export function split(x: Tensor, sizes: readonly number[], axis = 0): Tensor[] {
  const engine = engineOf('split', 'x', x);
  requireAlive('split', 'x', x);
  requireList('split', 'the list of sizes', sizes);
  const along = normalizeAxis(axis, x.rank, 'split');
  if (sizes.reduce((sum, size) => sum + size, 0) !== x.shape[along] || !sizes.every((size) => Number.isInteger(size) && size >= 0)) {
    throw new XMoEError('shape', `sizes ${formatShape(sizes)} do not add up to axis ${along} of ${formatShape(x.shape)}`, {
      op: 'split',
      hint: 'give one size per part',
    });
  }
  let start = 0;
  const parts = sizes.map((size) => {
    const part = engine.empty(x.shape.map((extent, index) => (index === along ? size : extent)), x.dtype);
    engine.kernels.slice({ x }, { out: part }, { begin: x.shape.map((_, index) => (index === along ? start : 0)) });
    start += size;
    return part;
  });
  const shapes = parts.map((part) => part.shape);
  const { shape, dtype } = x;
  engine.tape?.record({
    op: 'split',
    inputs: [x],
    outputs: parts,
    saved: [],
    backward: (gradients) => {
      const pieces = gradients.map((gradient, index) => gradient ?? engine.zeros(shapes[index]!, dtype));
      const dx = engine.empty(shape, dtype);
      engine.kernels.concat({ parts: pieces }, { out: dx }, { axis: along });
      return [dx];
    },
  });
  return parts;
}
