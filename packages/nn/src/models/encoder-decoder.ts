// The encoder-decoder Transformer (Vaswani et al. 2017) with any feed-forward in any layer of either side.
import {
  add, addSums, cast, linearCrossEntropy, matmul, multiply, parameter, reshape, statesOf, withoutRepeatedStates,
  type FeedForward, type ForwardContext, type LayerState, type ParameterSpec, type Parameters, type Tensor,
} from '@xmoe/core';
import type { DecoderState } from '../decoding/decoder-state.js';
import { checkHeads, type BatchShape } from '../layers/attention.js';
import { dropoutAt } from '../layers/dropout.js';
import { embedding, embeddingParameters, layerNormParameters, normalize } from '../layers/linear.js';
import { createTransformerLayer, type LayerStepInput, type TransformerLayer, type TransformerLayerInput } from '../layers/transformer-layer.js';
import { combineLosses, type LossOptions, type ModelLoss } from './loss.js';
import { addPositions, learnedPositions, sinusoidalPositions } from './positions.js';
import { applyStack, extendStack, type StackResult } from './stack.js';

export interface EncoderDecoderConfig<Trace = unknown> {
  /** Joint vocabulary of both sides. */
  readonly vocabularySize: number;
  /** What shares the output projection's weight (Press and Wolf 2017). `decoder`: the decoder's embedding; `all`: both embeddings. */
  readonly tiedEmbeddings: 'decoder' | 'all';
  /** Longest sequence of learned positions, which each side has of its own. */
  readonly contextLength: number;
  readonly width: number;
  readonly heads: number;
  readonly encoderLayers: number;
  readonly decoderLayers: number;
  readonly dropout: number;
  readonly initStd: number;
  readonly labelSmoothing: number;
  readonly norm: 'pre' | 'post';
  readonly positions: 'learned' | 'sinusoidal';
  /** The feed-forward of layer `index` (1-based) of one side; `name` is its parameter prefix, e.g. `encoder.h.0`. */
  readonly feedForward: (layer: { side: 'encoder' | 'decoder'; index: number; name: string; std: number; outputStd: number }) => FeedForward<Trace>;
  readonly checkpointing?: boolean;
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
  /** What of the parameters is not trained, and how it moves. */
  readonly states: readonly LayerState[];
  encode(parameters: Parameters, source: SequenceBatch, context: ForwardContext): Side<Trace>;
  decode(parameters: Parameters, target: SequenceBatch, source: SequenceBatch, memory: Tensor, context: ForwardContext): Side<Trace>;
  /** Cross-entropy per target token, label-smoothed in training, + auxiliary losses. */
  loss(parameters: Parameters, batch: TranslationBatch, context: ForwardContext, options?: LossOptions): ModelLoss<Trace>;
  /** Logits of decoder states [R, d]: float32 [R, V]. */
  logits(parameters: Parameters, states: Tensor): Tensor;
  /** Encodes the source and computes what each decoder layer keeps of it. No position is decoded yet; R = S. */
  startDecoding(parameters: Parameters, source: SequenceBatch, context: ForwardContext): DecoderState;
  /** Decodes one more position: tokens int32 [R] → states [R, d], as the last ones of `decode` over the whole prefix. */
  decodeStep(parameters: Parameters, state: DecoderState, tokens: Tensor, context: ForwardContext): { x: Tensor; state: DecoderState };
}

/** Output of one side: states [B·T, d]. */
export type Side<Trace> = StackResult<Trace>;

/**
 * Vaswani et al. 2017. Embeddings are scaled by √d (section 3.4); `post` is the published norm, `pre` adds a final one to each
 * side. Label smoothing applies in training only.
 * @throws XMoEError `config` when the heads do not divide the width
 */
export function createEncoderDecoder<Trace = unknown>(config: EncoderDecoderConfig<Trace>): EncoderDecoder<Trace> {
  checkHeads('encoderDecoder', config);
  const encoder = createSide(config, 'encoder');
  const decoder = createSide(config, 'decoder');
  const outputWeight = (weights: Parameters, like: Tensor): Tensor => cast(parameter(weights, `${decoder.embedding}.weight`), like.dtype);

  const encode: EncoderDecoder<Trace>['encode'] = (weights, source, context) => encoder.run(weights, source, context);
  const decode: EncoderDecoder<Trace>['decode'] = (weights, target, source, memory, context) =>
    decoder.run(weights, target, context, { x: memory, length: source.shape.length, mask: keyMaskOf(source) });

  return {
    config,
    parameters: withoutRepeatedStates([
      ...[...new Set([encoder.embedding, decoder.embedding])].flatMap((name) => embeddingParameters(name, config.vocabularySize, config.width, config.initStd)),
      ...encoder.parameters,
      ...decoder.parameters,
    ]),
    states: statesOf([...encoder.layers, ...decoder.layers]),
    encode,
    decode,
    logits: (weights, states) => matmul(states, outputWeight(weights, states), { transposeB: true, dtype: 'float32' }),
    loss(weights, { source, target, labels }, context, options = {}) {
      const memory = encode(weights, source, context);
      const states = decode(weights, target, source, memory.x, context);
      const labelSmoothing = context.training ? config.labelSmoothing : 0;
      const losses = linearCrossEntropy(states.x, parameter(weights, `${decoder.embedding}.weight`), labels, { labelSmoothing });
      const auxLoss = memory.auxLoss && states.auxLoss ? add(memory.auxLoss, states.auxLoss) : (memory.auxLoss ?? states.auxLoss);
      return { ...combineLosses(losses, labels, auxLoss, options), traces: [...memory.traces, ...states.traces], sums: addSums(memory.sums, states.sums) };
    },
    startDecoding(weights, source, context) {
      const { x } = encode(weights, source, context);
      const sequences = source.shape.batch;
      return {
        sequences,
        rows: sequences,
        length: 0,
        past: decoder.layers.map(() => null),
        memory: decoder.layers.map((layer) => layer.remember(weights, x, source.shape)),
        memoryMask: keyMaskOf(source),
      };
    },
    decodeStep(weights, state, tokens, context) {
      const { sequences, memoryMask: mask } = state;
      const shape = { batch: state.rows, length: 1 };
      const inputOf = (index: number): Omit<LayerStepInput, 'x'> => ({ shape, past: state.past[index]!, keyMask: null, memory: { keyValues: state.memory[index]!, sequences, mask } });
      const { x, past } = extendStack(decoder.layers, weights, decoder.embed(weights, tokens, shape, context, state.length), inputOf, { ...context, tokenIds: tokens, mask: null });
      return { x: decoder.end(weights, x), state: { ...state, length: state.length + 1, past } };
    },
  };
}

type SideName = 'encoder' | 'decoder';
type Memory = NonNullable<TransformerLayerInput['memory']>;

/** The encoder or the decoder: embedding, positions, layers, final norm. */
interface SideModel<Trace> {
  /** Name of the embedding's parameters, which both sides may share. */
  readonly embedding: string;
  /** All others. */
  readonly parameters: readonly ParameterSpec[];
  readonly layers: readonly TransformerLayer<Trace>[];
  /** Tokens int32 [B·T] at positions from `start` → [B·T, d]. */
  embed(weights: Parameters, tokens: Tensor, shape: BatchShape, context: ForwardContext, start?: number): Tensor;
  /** What comes after the layers. */
  end(weights: Parameters, x: Tensor): Tensor;
  run(weights: Parameters, batch: SequenceBatch, context: ForwardContext, memory?: Memory): Side<Trace>;
}

function createSide<Trace>(config: EncoderDecoderConfig<Trace>, side: SideName): SideModel<Trace> {
  const { width, contextLength, initStd, norm, checkpointing = false } = config;
  const embeddingName = config.tiedEmbeddings === 'all' ? 'wte' : `${side}.wte`;
  const positions = config.positions === 'learned' ? learnedPositions(`${side}.wpe`, { contextLength, width, std: initStd }) : sinusoidalPositions(width);
  const layers = createLayers(config, side);
  const embed: SideModel<Trace>['embed'] = (weights, tokens, shape, context, start = 0) => {
    const embedded = multiply(embedding(weights, embeddingName, tokens, context), Math.sqrt(width));
    const x = addPositions(embedded, positions.rows(tokens.engine, weights, shape.length, start), shape);
    return dropoutAt(`${side}.embd`, x, config.dropout, context);
  };
  const end = (weights: Parameters, x: Tensor): Tensor => (norm === 'pre' ? normalize(weights, `${side}.ln_f`, x) : x);
  return {
    embedding: embeddingName,
    parameters: [
      ...positions.parameters,
      ...layers.flatMap((layer) => layer.parameters),
      ...(norm === 'pre' ? layerNormParameters(`${side}.ln_f`, width) : []),
    ],
    layers,
    embed,
    end,
    run(weights, batch, context, memory) {
      const { shape, tokens, mask } = batch;
      const input = { x: embed(weights, tokens, shape, context), shape, keyMask: keyMaskOf(batch), ...(memory ? { memory } : {}) };
      const stack = applyStack(layers, weights, input, { ...context, tokenIds: tokens, mask }, { checkpointing });
      return { ...stack, x: end(weights, stack.x) };
    },
  };
}

function createLayers<Trace>(config: EncoderDecoderConfig<Trace>, side: SideName): TransformerLayer<Trace>[] {
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

/** The mask of a batch as attention wants it: bool [B, T]. */
function keyMaskOf({ mask, shape }: SequenceBatch): Tensor {
  return reshape(mask, [shape.batch, shape.length]);
}
