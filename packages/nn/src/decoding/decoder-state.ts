// What a decoder keeps from position to position: keys and values of its own prefix and of the source. Functions that pick
// and repeat rows of it, on the device. Not a search.
import { collectTensors, gatherRows, reshape, type Engine, type Tensor } from '@xmoe/core';
import type { KeyValues } from '../layers/attention.js';

/** S source sequences, R / S hypotheses of each, sequence by sequence. */
export interface DecoderState {
  /** S */
  readonly sequences: number;
  /** R */
  readonly rows: number;
  /** Positions decoded so far. */
  readonly length: number;
  /** By layer: of each hypothesis, [R·heads, length, D]; null before the first position. */
  readonly past: readonly (KeyValues | null)[];
  /** By layer: of each source, [S·heads, Ts, D]. */
  readonly memory: readonly KeyValues[];
  /** bool [S, Ts]: false on padding. */
  readonly memoryMask: Tensor;
}

export interface RowSelection {
  /** The row that each new row continues. */
  rows: readonly number[];
  /** The sequences that stay, in order; the new rows are R′ / S′ of each. Default: all. */
  sequences?: readonly number[];
}

/** The state of other rows: reordered, repeated or left out. Shares with `state` what stays the same. */
export function selectRows(state: DecoderState, { rows, sequences }: RowSelection): DecoderState {
  const { engine } = state.memoryMask;
  const ofRows = rowPicker(engine, rows, state.rows);
  const ofSequences = rowPicker(engine, sequences, state.sequences);
  return {
    sequences: sequences?.length ?? state.sequences,
    rows: rows.length,
    length: state.length,
    past: state.past.map((keyValues) => keyValues && pickKeyValues(ofRows, keyValues)),
    memory: state.memory.map((keyValues) => pickKeyValues(ofSequences, keyValues)),
    memoryMask: ofSequences(state.memoryMask),
  };
}

/** Picks these of `count` rows or sequences, from tensors whose first dimension is a multiple of their number. Undefined: all. */
export function rowPicker(engine: Engine, all: readonly number[] | undefined, count: number): (x: Tensor) => Tensor {
  if (all === undefined || (all.length === count && all.every((row, index) => row === index))) return (x) => x;
  const indices = engine.tensor(Int32Array.from(all));
  return (x) => {
    // One row per sequence or hypothesis: its heads lie together.
    const picked = gatherRows(reshape(x, [count, x.size / count]), indices);
    return reshape(picked, [(x.shape[0]! / count) * all.length, ...x.shape.slice(1)]);
  };
}

export function pickKeyValues(pick: (x: Tensor) => Tensor, { k, v }: KeyValues): KeyValues {
  return { k: pick(k), v: pick(v) };
}

/** Frees `state`, except what `next` shares with it. */
export function disposeState(state: object, next: object | null = null): void {
  const kept = new Set(collectTensors(next));
  for (const tensor of collectTensors(state)) if (!kept.has(tensor)) tensor.dispose();
}
