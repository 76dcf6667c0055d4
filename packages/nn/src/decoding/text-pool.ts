// Texts that come and go while others go on: each call gives the logits of what follows every text, in one step of the model for all
// that were there before. For servers; a fixed set of texts is continue-texts.ts. Chooses no tokens.
import { concat, pad, reshape, slice, type Engine, type FloatDType, type Tensor } from '@xmoe/core';
import type { DecodedPosition } from '../models/prefix-decoding.js';
import type { GeneratingModel } from './continue-texts.js';
import { disposeState } from './decoder-state.js';
import { decodingContext } from './decoding-session.js';
import { extentOf, selectPrefixes, type PrefixState } from './prefix-state.js';
import { withoutRoom } from './room.js';

export interface TextPool {
  /**
   * What follows each text: float32 logits [V] of each, in order. A text is an array of token ids, not empty, that its owner keeps and
   * lets grow by one token between calls; one that is not named any more is forgotten. Of a text beyond the context the last
   * `contextLength` tokens are read anew each time.
   */
  next(texts: readonly number[][]): Promise<Float32Array[]>;
  /** Frees what is kept of the texts; the pool may be used again. */
  close(): void;
}

/** @param generating with a model that drops no claims, see {@link GeneratingModel}: then no text depends on the others, but for rounding */
export function openTextPool<Trace>({ engine, model, parameters }: GeneratingModel<Trace>, computeDType: FloatDType = 'float32'): TextPool {
  const context = decodingContext(computeDType);
  const { contextLength } = model.config;
  let state: PrefixState | null = null;
  let rows: readonly number[][] = []; // the text of each row of the state
  const read = (text: readonly number[]): DecodedPosition => {
    const window = Int32Array.from(text.slice(-contextLength));
    return model.startDecoding(parameters, { shape: { batch: 1, length: window.length }, tokens: engine.tensor(window), lengths: [window.length] }, context);
  };
  const goOn = (before: PrefixState, texts: readonly number[][]): DecodedPosition => {
    const chosen = withoutEmptyFront(selectPrefixes(engine, before, texts.map((text) => rows.indexOf(text))));
    return model.decodeStep(parameters, chosen, engine.tensor(Int32Array.from(texts, (text) => text.at(-1)!)), context);
  };
  const forget = (next: PrefixState | null): void => {
    if (state) disposeState(state, next);
    state = next;
  };
  return {
    async next(texts) {
      if (texts.length === 0) return [];
      const known = texts.filter((text) => rows.includes(text) && text.length <= contextLength);
      const anew = texts.filter((text) => !known.includes(text));
      // What has filled the context is read anew the next time: positions are counted from the beginning of a window.
      const staying = anew.filter((text) => text.length < contextLength);
      const { logits, next } = engine.scope(() => {
        const step = known.length > 0 ? [goOn(state!, known)] : [];
        const first = anew.map(read);
        const states = [...step, ...first.filter((_, index) => staying.includes(anew[index]!))].map((position) => position.state);
        return {
          logits: model.logits(parameters, concatRows([...step, ...first].map(({ x }) => x))),
          next: states.length > 0 ? joinPrefixes(engine, states) : null,
        };
      });
      forget(next);
      rows = [...known, ...staying];
      const values = (await logits.data()) as Float32Array;
      logits.dispose();
      const places = new Map([...known, ...anew].map((text, place) => [text, place]));
      const vocabulary = values.length / texts.length;
      return texts.map((text) => values.subarray(places.get(text)! * vocabulary, (places.get(text)! + 1) * vocabulary));
    },
    close() {
      forget(null);
      rows = [];
    },
  };
}

const concatRows = (parts: readonly Tensor[]): Tensor => (parts.length === 1 ? parts[0]! : concat(parts, 0));
const longest = (lengths: readonly number[]): number => lengths.reduce((most, length) => Math.max(most, length), 0);

/** The texts of several states whose padding lies before their tokens, as one such state. */
function joinPrefixes(engine: Engine, states: readonly PrefixState[]): PrefixState {
  if (states.length === 1) return states[0]!;
  const length = longest(states.map(extentOf));
  const lengths = states.flatMap((state) => state.lengths);
  const fronted = (x: Tensor, state: PrefixState): Tensor => {
    const filled = withoutRoom(x, extentOf(state));
    return filled.shape[1] === length ? filled : pad(filled, [0, length - filled.shape[1]!, 0], [x.shape[0]!, length, x.shape[2]!]);
  };
  return {
    rows: lengths.length,
    lengths,
    past: states[0]!.past.map((_, layer) => ({
      k: concat(states.map((state) => fronted(state.past[layer]!.k, state)), 0),
      v: concat(states.map((state) => fronted(state.past[layer]!.v, state)), 0),
    })),
    mask: frontMask(engine, lengths, length),
  };
}

/** `state` without the positions that are padding in every row: those of texts that have left. */
function withoutEmptyFront(state: PrefixState): PrefixState {
  const [length, most] = [extentOf(state), longest(state.lengths)];
  if (length === most) return state;
  const cut = (x: Tensor): Tensor => slice(x, [0, length - most, 0], [x.shape[0]!, most, x.shape[2]!]);
  const { engine } = state.past[0]!.k;
  return { rows: state.rows, lengths: state.lengths, past: state.past.map(({ k, v }) => ({ k: cut(k), v: cut(v) })), mask: frontMask(engine, state.lengths, most) };
}

/** bool [R, L]: false before the tokens of each row; null where there is no such place. */
function frontMask(engine: Engine, lengths: readonly number[], length: number): Tensor | null {
  if (lengths.every((tokens) => tokens === length)) return null;
  const real = lengths.flatMap((tokens) => Array.from({ length }, (_, position) => position >= length - tokens));
  return reshape(engine.tensor(real), [lengths.length, length]);
}
