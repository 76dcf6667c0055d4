// The encoder-decoder Transformer (Vaswani et al. 2017) with any feed-forward in any layer of either side.
import {
  add, cast, linearCrossEntropy, matmul, multiply, parameter, reshape,
  type Engine, type FeedForward, type ForwardContext, type ParameterSpec, type Parameters, type Tensor,
} from '@xmoe/core';
import { checkHeads, type BatchShape } from '../layers/attention.js';
import { dropoutAt } from '../layers/dropout.js';
import { embedding, embeddingParameters, layerNormParameters, normalize } from '../layers/linear.js';
import { createTransformerLayer, type TransformerLayer, type TransformerLayerInput } from '../layers/transformer-layer.js';
import { combineLosses, type LossOptions, type ModelLoss } from './loss.js';
import { addPositions, learnedPositions, sinusoidalPositions } from './positions.js';
import { applyStack, type StackResult } from './stack.js';

export interface EncoderDecoderConfig<Trace = unknown> {
  /** Joint vocabulary of both sides; all embeddings and the output projection are tied. */
  vocabularySize: number;
  /** Longest sequence of learned positions. */
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
  /** Cross-entropy per target token, label-smoothed in training, + auxiliary losses. */
  loss(parameters: Parameters, batch: TranslationBatch, context: ForwardContext, options?: LossOptions): ModelLoss<Trace>;
  /** Logits of decoder states [R, d]: float32 [R, V]. */
  logits(parameters: Parameters, states: Tensor): Tensor;
}

/** Output of one side: states [B·T, d]. */
export type Side<Trace> = StackResult<Trace>;

/**
 * Vaswani et al. 2017. Embeddings are scaled by √d (section 3.4) and tied to the output projection; `post` is the published
 * norm, `pre` adds a final one to each side. Label smoothing applies in training only.
 * @throws XMoEError `config` when the heads do not divide the width
 */
export function createEncoderDecoder<Trace = unknown>(engine: Engine, config: EncoderDecoderConfig<Trace>): EncoderDecoder<Trace> {
  checkHeads('encoderDecoder', config);
  const { vocabularySize, contextLength, width, initStd } = config;
  const encoder = createSide(config, 'encoder');
  const decoder = createSide(config, 'decoder');
  const positions = config.positions === 'learned' ? learnedPositions('wpe', { contextLength, width, std: initStd }) : sinusoidalPositions(width);

  const run = (name: SideName, layers: readonly TransformerLayer<Trace>[], weights: Parameters, batch: SequenceBatch, context: ForwardContext, memory?: Memory): Side<Trace> => {
    const { shape, tokens, mask } = batch;
    const embedded = multiply(embedding(weights, 'wte', tokens, context), Math.sqrt(width));
    const start = addPositions(embedded, positions.rows(engine, weights, shape.length), shape);
    const x = dropoutAt(`${name}.embd`, start, config.dropout, context);
    const input = { x, shape, keyMask: keyMaskOf(batch), ...(memory ? { memory } : {}) };
    const stack = applyStack(engine, layers, weights, input, { ...context, tokenIds: tokens, mask }, { checkpointing: config.checkpointing ?? false });
    return { ...stack, x: config.norm === 'pre' ? normalize(weights, `${name}.ln_f`, stack.x) : stack.x };
  };
  const encode: EncoderDecoder<Trace>['encode'] = (weights, source, context) => run('encoder', encoder, weights, source, context);
  const decode: EncoderDecoder<Trace>['decode'] = (weights, target, source, memory, context) =>
    run('decoder', decoder, weights, target, context, { x: memory, length: source.shape.length, mask: keyMaskOf(source) });

  return {
    config,
    parameters: [
      ...embeddingParameters('wte', vocabularySize, width, initStd),
      ...positions.parameters,
      ...[...encoder, ...decoder].flatMap((layer) => layer.parameters),
      ...(config.norm === 'pre' ? [...layerNormParameters('encoder.ln_f', width), ...layerNormParameters('decoder.ln_f', width)] : []),
    ],
    encode,
    decode,
    logits: (weights, states) => matmul(states, tiedWeight(weights, states), { transposeB: true, dtype: 'float32' }),
    loss(weights, { source, target, labels }, context, options = {}) {
      const memory = encode(weights, source, context);
      const states = decode(weights, target, source, memory.x, context);
      const labelSmoothing = context.training ? config.labelSmoothing : 0;
      const losses = linearCrossEntropy(states.x, tiedWeight(weights, states.x), labels, { labelSmoothing });
      const auxLoss = memory.auxLoss && states.auxLoss ? add(memory.auxLoss, states.auxLoss) : (memory.auxLoss ?? states.auxLoss);
      return { ...combineLosses(losses, labels, auxLoss, options), traces: [...memory.traces, ...states.traces] };
    },
  };
}

type SideName = 'encoder' | 'decoder';
type Memory = NonNullable<TransformerLayerInput['memory']>;

/** The mask of a batch as attention wants it: bool [B, T]. */
function keyMaskOf({ mask, shape }: SequenceBatch): Tensor {
  return reshape(mask, [shape.batch, shape.length]);
}

function tiedWeight(weights: Parameters, like: Tensor): Tensor {
  return cast(parameter(weights, 'wte.weight'), like.dtype);
}

function createSide<Trace>(config: EncoderDecoderConfig<Trace>, side: SideName): TransformerLayer<Trace>[] {
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
