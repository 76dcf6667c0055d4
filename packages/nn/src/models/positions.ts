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
  rows(engine: Engine, parameters: Parameters, length: number, start?: number): Tensor;
}

/** A trained row of `name.weight` [contextLength, d] for each position (GPT-2). Refuses longer sequences. */
export function learnedPositions(name: string, options: { contextLength: number; width: number; std: number }): Positions {
  const { contextLength, width, std } = options;
  return {
    parameters: embeddingParameters(name, contextLength, width, std),
    rows(_engine, parameters, length, start = 0) {
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

/** Fixed {@link sinusoids}, for sequences of any length. A table of them stays on each engine until that engine is disposed. */
export function sinusoidalPositions(width: number): Positions {
  return { parameters: [], rows: (engine, _parameters, length, start = 0) => slice(tableOn(engine, width, start + length), [start, 0], [length, width]) };
}

/** Positions of the first table. */
const FIRST_TABLE = 256;
/** By width: one table for all models. */
const tables = new WeakMap<Engine, Map<number, Tensor>>();

/** A table of at least `length` positions, on the device, so that a step may be recorded. */
function tableOn(engine: Engine, width: number, length: number): Tensor {
  const byWidth = tables.get(engine) ?? new Map<number, Tensor>();
  tables.set(engine, byWidth);
  const known = byWidth.get(width);
  if (known && known.shape[0]! >= length) return known;
  const rows = Math.max(length, known ? 2 * known.shape[0]! : FIRST_TABLE);
  const table = engine.tensor(sinusoids(rows, width), [rows, width]).keep();
  byWidth.set(width, table); // the one that got too short is not freed: a recorded step may read it
  return table;
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
