// Position encodings: learned rows or fixed sinusoids.
import { add, cast, parameter, reshape, slice, type Engine, type Parameters, type Tensor } from '@xmoe/core';
import type { BatchShape } from '../layers/attention.js';

/** sin and cos at geometric wavelengths (Vaswani et al. 2017, section 3.5): float32 [length · width], row-major. */
export function sinusoids(length: number, width: number): Float32Array {
  const out = new Float32Array(length * width);
  for (let position = 0; position < length; position++) {
    for (let column = 0; column < width; column++) {
      const angle = position / 10000 ** ((column - (column % 2)) / width);
      out[position * width + column] = column % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    }
  }
  return out;
}

/** x [B·T, d] + the first T rows of `name.weight` [≥ T, d], or of the sinusoids when there is no name. */
export function addPositions(engine: Engine, parameters: Parameters, name: string | null, x: Tensor, shape: BatchShape): Tensor {
  const width = x.shape[1]!;
  const rows = name
    ? slice(parameter(parameters, `${name}.weight`), [0, 0], [shape.length, width])
    : engine.tensor(sinusoids(shape.length, width), [shape.length, width]);
  return reshape(add(reshape(x, [shape.batch, shape.length, width]), cast(rows, x.dtype)), [shape.batch * shape.length, width]);
}
