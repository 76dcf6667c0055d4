// Position encodings: learned rows or fixed sinusoids, behind one interface. Not relative or rotary ones.
import {
  add, cast, parameter, reshape, slice, XMoEError,
  type Engine, type ParameterSpec, type Parameters, type Tensor,
} from '@xmoe/core';
import type { BatchShape } from '../layers/attention.js';
import { embeddingParameters } from '../layers/linear.js';

export interface Positions {
  readonly parameters: readonly ParameterSpec[];
  /** The encodings of `length` positions from `start`, which is 0 by default: float32 [length, d]. */
  rows(parameters: Parameters, length: number, start?: number): Tensor;
}

/** A trained row of `name.weight` [contextLength, d] for each position (GPT-2). Refuses longer sequences. */
export function learnedPositions(name: string, options: { contextLength: number; width: number; std: number }): Positions {
  const { contextLength, width, std } = options;
  return {
    parameters: embeddingParameters(name, contextLength, width, std),
    rows(parameters, length, start = 0) {
      if (start + length > contextLength) {
        throw new XMoEError('shape', `sequences of ${start + length} tokens exceed the context of ${contextLength}`, {
          op: 'learnedPositions',
          hint: 'shorten the sequences, or train with a larger contextLength',
        });
      }
      return slice(parameter(parameters, `${name}.weight`), [start, 0], [length, width]);
    },
  };
}

/** Positions of the first table. */
const FIRST_TABLE = 256;

/** Fixed {@link sinusoids}, for sequences of any length. Keeps a tensor on the engine. */
export function sinusoidalPositions(engine: Engine, width: number): Positions {
  const tableOf = (length: number): Tensor => engine.tensor(sinusoids(length, width), [length, width]).keep();
  // On the device, so that a step may be recorded. A table that got too short is not freed: a recorded step may read it.
  let table = tableOf(FIRST_TABLE);
  return {
    parameters: [],
    rows(_parameters, length, start = 0) {
      const end = start + length;
      if (table.shape[0]! < end) table = tableOf(Math.max(end, 2 * table.shape[0]!));
      return slice(table, [start, 0], [length, width]);
    },
  };
}

/** sin and cos at geometric wavelengths (Vaswani et al. 2017, section 3.5): float32 [length · width], row-major. */
export function sinusoids(length: number, width: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(length * width);
  for (let position = 0; position < length; position++) {
    for (let column = 0; column < width; column++) {
      const angle = position / 10000 ** ((column - (column % 2)) / width);
      out[position * width + column] = column % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    }
  }
  return out;
}

/** x [B·T, d] + rows float32 [T, d], the same for each sequence. */
export function addPositions(x: Tensor, rows: Tensor, { batch, length }: BatchShape): Tensor {
  const width = x.shape[1]!;
  return reshape(add(reshape(x, [batch, length, width]), cast(rows, x.dtype)), [batch * length, width]);
}
