// How a language model reads beginnings of texts, and then one token of each at a time beside the keys and values of those before.
// Not a sampler.
import { gatherRows, reshape, type Engine, type ForwardContext, type Parameters, type Tensor } from '@xmoe/core';
import { extendMask, prefixMask, type PrefixState } from '../decoding/prefix-state.js';
import { filledPast, nextPlace } from '../decoding/room.js';
import type { BatchShape } from '../layers/attention.js';
import type { LayerStepInput, TransformerLayer } from '../layers/transformer-layer.js';
import type { Positions } from './positions.js';
import { extendStack } from './stack.js';

/** B beginnings of texts, of different lengths. */
export interface PrefixBatch {
  shape: BatchShape;
  /** int32 [B·T]; what lies behind a prefix does not matter. */
  tokens: Tensor;
  /** Tokens of each prefix, from 1 to T. */
  lengths: readonly number[];
}

/** Where R texts have got to. */
export interface DecodedPosition {
  /** States of their last tokens: [R, d]. */
  x: Tensor;
  state: PrefixState;
}

/** What a language model is made of. */
export interface PrefixParts<Trace> {
  readonly layers: readonly TransformerLayer<Trace>[];
  readonly positions: Positions;
  /** Tokens int32 [R] with encodings float32 [T, d] of their positions, which repeat → [R, d]. */
  embed(parameters: Parameters, tokens: Tensor, rows: Tensor, context: ForwardContext): Tensor;
  /** What comes after the layers. */
  end(parameters: Parameters, x: Tensor): Tensor;
}

/** @throws XMoEError `value` for lengths that are none */
export function readPrefixes<Trace>({ layers, positions, embed, end }: PrefixParts<Trace>, parameters: Parameters, { shape, tokens, lengths }: PrefixBatch, context: ForwardContext): DecodedPosition {
  const { engine } = tokens;
  const mask = prefixMask(engine, shape, lengths);
  const start = embed(parameters, tokens, positions.rows(engine, parameters, shape.length), context);
  // Padding lies behind the tokens, where no causal query sees it.
  const inputOf = (): NextPositions => ({ shape, past: null, keyMask: null });
  const { x, past } = extendStack(layers, parameters, start, inputOf, { ...context, tokenIds: tokens, mask: mask && reshape(mask, [tokens.size]) });
  const last = engine.tensor(Int32Array.from(lengths, (length, row) => row * shape.length + length - 1));
  return { x: end(parameters, gatherRows(x, last)), state: { rows: shape.batch, lengths, past, mask } };
}

/** Tokens int32 [R], one of each text. */
export function readNext<Trace>({ layers, positions, embed, end }: PrefixParts<Trace>, parameters: Parameters, state: PrefixState, tokens: Tensor, context: ForwardContext): DecodedPosition {
  const { rows, lengths } = state;
  const mask = extendMask(state.mask);
  const start = embed(parameters, tokens, encodingsAt(positions, tokens.engine, parameters, lengths), context);
  const place = nextPlace(state, mask);
  const before = place ? place.past : filledPast(state);
  const inputOf = (index: number): NextPositions => ({
    shape: { batch: rows, length: 1 }, past: before[index]!, keyMask: mask, ...(place ? { place: place.rows, keyMask: place.keyMask } : {}),
  });
  const { x, past } = extendStack(layers, parameters, start, inputOf, { ...context, tokenIds: tokens, mask: null });
  const next = { rows, lengths: lengths.map((length) => length + 1), past, mask };
  return { x: end(parameters, x), state: place ? { ...next, room: place.room } : next };
}

type NextPositions = Omit<LayerStepInput, 'x'>;

/** The encoding of one position of each row: float32 [R, d], or [1, d] where it is the same one. */
function encodingsAt(positions: Positions, engine: Engine, parameters: Parameters, places: readonly number[]): Tensor {
  const last = places.reduce((most, place) => Math.max(most, place), 0);
  if (places.every((place) => place === last)) return positions.rows(engine, parameters, 1, last);
  return gatherRows(positions.rows(engine, parameters, last + 1), engine.tensor(Int32Array.from(places)));
}
