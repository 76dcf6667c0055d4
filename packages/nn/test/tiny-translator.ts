// A tiny encoder-decoder and padded batches for it. Not a test.
import type { Engine } from '@xmoe/core';
import type { DispatchPath, RoutingTrace } from '@xmoe/moe';
import { createEncoderDecoder, type EncoderDecoder, type EncoderDecoderConfig, type SequenceBatch } from '@xmoe/nn';
import { tinyFeedForward } from './tiny.js';

export type TinyTranslatorOptions = Partial<EncoderDecoderConfig<RoutingTrace>> & { dispatch?: DispatchPath };

/** Experts, when asked for, are in layer 1 of the encoder. */
export function createTinyTranslator({ dispatch, ...config }: TinyTranslatorOptions = {}): EncoderDecoder<RoutingTrace> {
  return createEncoderDecoder<RoutingTrace>({
    vocabularySize: 7, tiedEmbeddings: 'all', contextLength: 6, width: 4, heads: 2, encoderLayers: 1, decoderLayers: 1,
    dropout: 0, initStd: 0.4, labelSmoothing: 0.1, norm: 'post', positions: 'sinusoidal',
    feedForward: ({ side, name, std, outputStd }) => tinyFeedForward(side === 'encoder' ? dispatch : undefined, name, std, outputStd),
    ...config,
  });
}

/** Rows padded with token 0 to `length`. */
export function paddedRows(engine: Engine, rows: readonly (readonly number[])[], length = Math.max(...rows.map((row) => row.length))): SequenceBatch {
  const padded = rows.flatMap((row) => Array.from({ length }, (_, index) => row[index] ?? 0));
  const mask = rows.flatMap((row) => Array.from({ length }, (_, index) => index < row.length));
  return { shape: { batch: rows.length, length }, tokens: engine.tensor(Int32Array.from(padded)).keep(), mask: engine.tensor(mask).keep() };
}
