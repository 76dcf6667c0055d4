// The encoder-decoder Transformer (Vaswani et al. 2017) with any feed-forward in any layer of either side.
import {
  add, cast, divide, greaterEqual, linearCrossEntropy, matmul, multiply, parameter, sum, XMoEError,
  type Engine, type FeedForward, type ForwardContext, type ParameterSpec, type Parameters, type Tensor,
} from '@xmoe/core';
import type { BatchShape } from '../layers/attention.js';
import { dropoutAt } from '../layers/dropout.js';
import { embedding, embeddingParameters, layerNormParameters, normalize } from '../layers/linear.js';
import { createTransformerLayer, type TransformerLayer } from '../layers/transformer-layer.js';
import { addPositions } from './positions.js';
import { applyStack, type LayerTrace } from './stack.js';

export interface EncoderDecoderConfig<Trace = unknown> {
  /** Joint vocabulary of both sides; all embeddings and the output projection are tied. */
  vocabularySize: number;
  contextLength: number;
  width: number;
  heads: number;
  encoderLayers: number;
  decoderLayers: number;
  dropout: number;
  initStd: number;
  labelSmoothing: number;
  norm: 'pre' | 'post';
  positions: 'learned' | 'sinusoidal';
  /** The feed-forward of layer `index` (1-based) of one side; `name` is its parameter prefix, e.g. `encoder.h.0`. */
  feedForward: (layer: { side: 'encoder' | 'decoder'; index: number; name: string; std: number; outputStd: number }) => FeedForward<Trace>;
  checkpointing?: boolean;
}

export interface TranslationBatch {
  source: SequenceBatch;
  target: SequenceBatch;
  /** int32 [B·Tt]; −1 on padding. */
  labels: Tensor;
}

export interface SequenceBatch {
  shape: BatchShape;
  /** int32 [B·T] */
  tokens: Tensor;
  /** bool [B·T]: false on padding, which is unseen, unrouted and uncounted. */
  mask: Tensor;
}

export interface EncoderDecoder<Trace = unknown> {
  readonly config: EncoderDecoderConfig<Trace>;
  readonly parameters: readonly ParameterSpec[];
  encode(parameters: Parameters, source: SequenceBatch, context: ForwardContext): Side<Trace>;
  decode(parameters: Parameters, target: SequenceBatch, source: SequenceBatch, memory: Tensor, context: ForwardContext): Side<Trace>;
  /** Label-smoothed cross-entropy per target token + auxiliary losses. */
  loss(
    parameters: Parameters,
    batch: TranslationBatch,
    context: ForwardContext,
    options?: { normalizer?: Tensor; auxScale?: number },
  ): { loss: Tensor; crossEntropy: Tensor; auxLoss: Tensor | null; traces: LayerTrace<Trace>[] };
  /** Logits of decoder states [R, d]: float32 [R, V]. */
  logits(parameters: Parameters, states: Tensor): Tensor;
}

/** Output of one side: states [B·T, d]. */
export interface Side<Trace> {
  x: Tensor;
  auxLoss: Tensor | null;
  traces: LayerTrace<Trace>[];
}

export function createEncoderDecoder<Trace = unknown>(engine: Engine, config: EncoderDecoderConfig<Trace>): EncoderDecoder<Trace> {
  if (config.width % config.heads !== 0) {
    throw new XMoEError('config', `width ${config.width} is not a multiple of heads ${config.heads}`, { op: 'encoderDecoder', hint: 'choose heads that divide the width' });
  }
  const encoder = createSide(config, 'encoder');
  const decoder = createSide(config, 'decoder');
  const positionSpecs = config.positions === 'learned' ? embeddingParameters('wpe', config.contextLength, config.width, config.initStd) : [];
  const options = { checkpointing: config.checkpointing ?? false };
  const embed = (weights: Parameters, batch: SequenceBatch, context: ForwardContext, site: string): Tensor => {
    // Embeddings are scaled by √d (Vaswani et al. 2017, section 3.4).
    const tokens = multiply(embedding(weights, 'wte', batch.tokens, context), Math.sqrt(config.width));
    return dropoutAt(site, addPositions(engine, weights, config.positions === 'learned' ? 'wpe' : null, tokens, batch.shape), config.dropout, context);
  };
  const finish = (weights: Parameters, side: 'encoder' | 'decoder', x: Tensor): Tensor =>
    config.norm === 'pre' ? normalize(weights, `${side}.ln_f`, x) : x;
  const contextOf = (context: ForwardContext, batch: SequenceBatch): ForwardContext => ({ ...context, tokenIds: batch.tokens, mask: batch.mask });

  const encode: EncoderDecoder<Trace>['encode'] = (weights, source, context) => {
    const x = embed(weights, source, context, 'encoder.embd');
    const stack = applyStack(engine, encoder, weights, { x, shape: source.shape, keyMask: source.mask }, contextOf(context, source), options);
    return { ...stack, x: finish(weights, 'encoder', stack.x) };
  };
  const decode: EncoderDecoder<Trace>['decode'] = (weights, target, source, memory, context) => {
    const x = embed(weights, target, context, 'decoder.embd');
    const input = { x, shape: target.shape, keyMask: target.mask, memory: { x: memory, length: source.shape.length, mask: source.mask } };
    const stack = applyStack(engine, decoder, weights, input, contextOf(context, target), options);
    return { ...stack, x: finish(weights, 'decoder', stack.x) };
  };
  return {
    config,
    parameters: [
      ...embeddingParameters('wte', config.vocabularySize, config.width, config.initStd),
      ...positionSpecs,
      ...[...encoder, ...decoder].flatMap((layer) => layer.parameters),
      ...(config.norm === 'pre' ? [...layerNormParameters('encoder.ln_f', config.width), ...layerNormParameters('decoder.ln_f', config.width)] : []),
    ],
    encode,
    decode,
    logits: (weights, states) => matmul(states, cast(parameter(weights, 'wte.weight'), states.dtype), { transposeB: true, dtype: 'float32' }),
    loss(weights, batch, context, { normalizer, auxScale = 1 } = {}) {
      const memory = encode(weights, batch.source, context);
      const states = decode(weights, batch.target, batch.source, memory.x, context);
      const losses = linearCrossEntropy(states.x, cast(parameter(weights, 'wte.weight'), states.x.dtype), batch.labels, {
        labelSmoothing: context.training ? config.labelSmoothing : 0,
      });
      const count = normalizer ?? sum(cast(greaterEqual(batch.labels, 0), 'float32'));
      const crossEntropy = divide(sum(losses), count);
      const both = memory.auxLoss && states.auxLoss ? add(memory.auxLoss, states.auxLoss) : (memory.auxLoss ?? states.auxLoss);
      const auxLoss = both && auxScale !== 1 ? multiply(both, auxScale) : both;
      return { loss: auxLoss ? add(crossEntropy, auxLoss) : crossEntropy, crossEntropy, auxLoss, traces: [...memory.traces, ...states.traces] };
    },
  };
}

function createSide<Trace>(config: EncoderDecoderConfig<Trace>, side: 'encoder' | 'decoder'): TransformerLayer<Trace>[] {
  const depth = side === 'encoder' ? config.encoderLayers : config.decoderLayers;
  const outputStd = config.initStd / Math.sqrt(2 * depth);
  return Array.from({ length: depth }, (_, index) => {
    const name = `${side}.h.${index}`;
    return createTransformerLayer<Trace>({
      name,
      attention: { width: config.width, heads: config.heads, dropout: config.dropout, std: config.initStd, outputStd },
      feedForward: config.feedForward({ side, index: index + 1, name, std: config.initStd, outputStd }),
      dropout: config.dropout,
      norm: config.norm,
      causal: side === 'decoder',
      cross: side === 'decoder',
    });
  });
}
