// Steps of a decoder with the memory they need: each replaces the state by the next and hands the logits to the search.
// Not a search.
import type { Engine, ForwardContext, Parameters, Tensor, TensorTree } from '@xmoe/core';
import type { EncoderDecoder, SequenceBatch } from '../models/encoder-decoder.js';
import { disposeState, selectRows, type DecoderState, type RowSelection } from './decoder-state.js';

export interface DecodedModel<Trace> {
  engine: Engine;
  model: EncoderDecoder<Trace>;
  parameters: Parameters;
}

export interface DecodingSession {
  /**
   * Goes on with the rows of `selection`, gives each its token, and returns what `use` makes of the logits, float32 [R, V].
   * What it returns is the caller's to dispose.
   */
  step<R extends TensorTree>(selection: RowSelection, tokens: readonly number[], use: (logits: Tensor) => R): R;
  close(): void;
}

/** Encodes the sources; the first step has a row for each. */
export function openDecoding<Trace>({ engine, model, parameters }: DecodedModel<Trace>, source: SequenceBatch, context: ForwardContext): DecodingSession {
  let state: DecoderState | null = engine.scope(() => model.startDecoding(parameters, source, context));
  return {
    step(selection, tokens, use) {
      const before = state!;
      const { next, result } = engine.scope(() => {
        const selected = selectRows(before, selection);
        const { x, state: after } = model.decodeStep(parameters, selected, engine.tensor(Int32Array.from(tokens)), context);
        return { next: after, result: use(model.logits(parameters, x)) };
      });
      disposeState(before, next);
      state = next;
      return result;
    },
    close() {
      if (state) disposeState(state);
      state = null;
    },
  };
}

/** The context of decoding: no dropout, nothing collected. */
export function decodingContext(computeDType: ForwardContext['computeDType']): ForwardContext {
  return { training: false, key: null, computeDType, tokenIds: null, mask: null, collect: 'nothing' };
}
