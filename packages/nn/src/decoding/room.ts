// Keys and values with room for positions to come: what a token adds is written in place, and all is copied only when the room is full. Where the
// backend has no kernel that writes in place there is no room, and attention.ts appends to a copy. Not the attention.
import { pad, slice, type Tensor } from '@xmoe/core';
import type { KeyValues } from '../layers/attention.js';
import { extentOf, type PrefixState, type Room } from './prefix-state.js';

/** Where the next position of each text goes. */
export interface Place {
  readonly past: readonly KeyValues[];
  readonly room: Room;
  /** int32 [R·heads]: its rows in keys and values as [R·heads·capacity, D]. */
  readonly rows: Tensor;
  /** bool [R, capacity]: false on padding and on what is not filled. */
  readonly keyMask: Tensor;
}

/** Capacities are multiples of this: attention reads no further than to the last key that it sees, so that only memory is spent. */
const STEP = 32;

/** [N, capacity, D] → the first `length` of each. */
export const withoutRoom = (x: Tensor, length: number): Tensor =>
  x.shape[1] === length ? x : slice(x, [0, 0, 0], [x.shape[0]!, length, x.shape[2]!]);

/** Keys and values without what is not filled. */
export const filledPast = (state: PrefixState): readonly KeyValues[] =>
  state.room ? state.past.map(({ k, v }) => ({ k: withoutRoom(k, extentOf(state)), v: withoutRoom(v, extentOf(state)) })) : state.past;

/** `mask`: bool [R, extent + 1] with the next position, or null. Null where nothing is written in place. The caller writes, and nobody else may. */
export function nextPlace(state: PrefixState, mask: Tensor | null): Place | null {
  const first = state.past[0]?.k;
  if (!first?.engine.backend.kernels.addRows || first.engine.tape || first.dtype !== 'float32') return null;
  const { engine } = first;
  const extent = extentOf(state);
  const isFree = state.room?.filled === extent && first.shape[1]! > extent;
  const room = isFree ? state.room! : { filled: extent };
  const past = isFree ? state.past : state.past.map(({ k, v }) => ({ k: withRoom(k, extent), v: withRoom(v, extent) }));
  const [heads, capacity] = past[0]!.k.shape as [number, number, number];
  room.filled = extent + 1;
  const seen = mask ?? engine.tensor(new Uint8Array(state.rows * (extent + 1)).fill(1), [state.rows, extent + 1], 'bool');
  return {
    past,
    room,
    rows: engine.tensor(Int32Array.from({ length: heads }, (_, head) => head * capacity + extent)),
    keyMask: pad(seen, [0, 0], [state.rows, capacity]),
  };
}

function withRoom(x: Tensor, length: number): Tensor {
  const capacity = Math.ceil((length + 1) / STEP) * STEP;
  return pad(withoutRoom(x, length), [0, 0, 0], [x.shape[0]!, capacity, x.shape[2]!]);
}
