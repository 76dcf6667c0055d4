// What a language model keeps of the texts that it goes on with: keys and values, and where their padding is. Functions that pick rows
// of it. Not the model, and not a sampler.
import { concat, reshape, XMoEError, type Engine, type Tensor } from '@xmoe/core';
import type { BatchShape, KeyValues } from '../layers/attention.js';
import { pickKeyValues, rowPicker } from './decoder-state.js';

/** Positions that are filled; zeros follow. States of the same tensors share it: the next position is written by one of them alone. */
export interface Room {
  filled: number;
}

/** Of R texts. */
export interface PrefixState {
  readonly rows: number;
  /** Tokens of each text so far: the position of its next one. */
  readonly lengths: readonly number[];
  /** By layer: [R·heads, L, D], in which a text has its tokens and, where others were longer to begin with, padding; with `room` behind it. */
  readonly past: readonly KeyValues[];
  /** What of `past` is filled, where there is room for more. */
  readonly room?: Room;
  /** bool [R, L]: false on padding; null where there is none. */
  readonly mask: Tensor | null;
}

/** L: positions of each row, padding counted and room not. */
export const extentOf = ({ mask, lengths }: PrefixState): number => mask?.shape[1] ?? lengths[0] ?? 0;

/** The state of other rows: reordered, repeated or left out. Shares with `state` what stays the same. */
export function selectPrefixes(engine: Engine, state: PrefixState, rows: readonly number[]): PrefixState {
  const pick = rowPicker(engine, rows, state.rows);
  const past = state.past.map((keyValues) => pickKeyValues(pick, keyValues));
  const isShared = past[0]?.k === state.past[0]?.k;
  return {
    rows: rows.length,
    lengths: rows.map((row) => state.lengths[row]!),
    past,
    ...(state.room ? { room: isShared ? state.room : { filled: extentOf(state) } } : {}),
    mask: state.mask && pick(state.mask),
  };
}

/**
 * bool [B, T]: which tokens are those of prefixes of these lengths; null when all are.
 * @throws XMoEError `value` for lengths that are none
 */
export function prefixMask(engine: Engine, { batch, length }: BatchShape, lengths: readonly number[]): Tensor | null {
  const op = 'startDecoding';
  if (lengths.length !== batch) throw new XMoEError('value', `${lengths.length} lengths for ${batch} prefixes`, { op, hint: 'pass one per prefix' });
  const wrong = lengths.find((tokens) => !Number.isInteger(tokens) || tokens < 1 || tokens > length);
  if (wrong !== undefined) throw new XMoEError('value', `a prefix of ${wrong} tokens in rows of ${length}`, { op, hint: 'pass whole numbers from 1 to the length of the rows' });
  if (lengths.every((tokens) => tokens === length)) return null;
  const real = lengths.flatMap((tokens) => Array.from({ length }, (_, position) => position < tokens));
  return reshape(engine.tensor(real), [batch, length]);
}

/** `mask` with one more token of each row. */
export function extendMask(mask: Tensor | null): Tensor | null {
  if (!mask) return null;
  const rows = mask.shape[0]!;
  return concat([mask, mask.engine.tensor(new Uint8Array(rows).fill(1), [rows, 1], 'bool')], 1);
}
