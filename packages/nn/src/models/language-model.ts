// The decoder-only language model: GPT-2's shape with any feed-forward in any layer.
import {
  add, cast, greaterEqual, linearCrossEntropy, matmul, multiply, divide, parameter, reshape, slice, sum, XMoEError,
  type Engine, type FeedForward, type ForwardContext, type ParameterSpec, type Parameters, type Tensor,
} from '@xmoe/core';
import type { BatchShape } from '../layers/attention.js';
import { dropoutAt } from '../layers/dropout.js';
import { embedding, embeddingParameters, layerNormParameters, normalize } from '../layers/linear.js';
import { createTransformerLayer } from '../layers/transformer-layer.js';
import { addPositions } from './positions.js';
import { applyStack, type LayerTrace } from './stack.js';

export interface LanguageModelConfig<Trace = unknown> {
  vocabularySize: number;
  /** Longest sequence: learned positions. */
  contextLength: number;
  width: number;
  heads: number;
  layers: number;
  /** On embeddings, residual branches and attention probabilities. */
  dropout: number;
  /** Standard deviation of the initial weights; projections into the residual stream use std / √(2·layers). */
  initStd: number;
  /** The feed-forward of layer `index` (1-based); `name` is its parameter prefix without a suffix, e.g. `h.0`. */
  feedForward: (layer: { index: number; name: string; std: number; outputStd: number }) => FeedForward<Trace>;
  /** Recompute layers in the backward pass instead of keeping their activations. */
  checkpointing?: boolean;
}

/** B sequences of T tokens. */
export interface LanguageModelBatch {
  shape: BatchShape;
  /** int32 [B·T] */
  inputs: Tensor;
  /** int32 [B·T]; −1 where there is nothing to predict. */
  targets: Tensor;
}

export interface LossOptions {
  /** float32 []: what the summed loss is divided by; the number of targets of this batch by default. For gradient
   *  accumulation pass the number of targets of the whole update. */
  normalizer?: Tensor;
  /** Factor of the auxiliary loss: 1 / micro-batches of the update. */
  auxScale?: number;
}

export interface LanguageModelLoss<Trace> {
  /** Cross-entropy + auxiliary loss: float32 []. */
  loss: Tensor;
  /** Mean nats per target: float32 []. */
  crossEntropy: Tensor;
  /** Σ of the layers' scaled auxiliary losses: float32 [] or null. */
  auxLoss: Tensor | null;
  traces: LayerTrace<Trace>[];
}

export interface LanguageModel<Trace = unknown> {
  readonly config: LanguageModelConfig<Trace>;
  readonly parameters: readonly ParameterSpec[];
  /** Final hidden states [B·T, d]. */
  hidden(parameters: Parameters, inputs: Tensor, shape: BatchShape, context: ForwardContext): HiddenStates<Trace>;
  loss(parameters: Parameters, batch: LanguageModelBatch, context: ForwardContext, options?: LossOptions): LanguageModelLoss<Trace>;
  /** Nats of each target: float32 [B·T], 0 where there is none. */
  tokenLosses(parameters: Parameters, batch: LanguageModelBatch, context: ForwardContext): TokenLosses<Trace>;
  /** Logits of one position of each sequence: float32 [B, V]. */
  logitsAt(parameters: Parameters, inputs: Tensor, shape: BatchShape, position: number, context: ForwardContext): Tensor;
}

export interface HiddenStates<Trace> {
  x: Tensor;
  auxLoss: Tensor | null;
  traces: LayerTrace<Trace>[];
}

export interface TokenLosses<Trace> {
  losses: Tensor;
  traces: LayerTrace<Trace>[];
}

export function createLanguageModel<Trace = unknown>(engine: Engine, config: LanguageModelConfig<Trace>): LanguageModel<Trace> {
  checkConfig(config);
  const { width, layers: depth } = config;
  const outputStd = config.initStd / Math.sqrt(2 * depth);
  const layers = Array.from({ length: depth }, (_, index) => {
    const name = `h.${index}`;
    return createTransformerLayer<Trace>({
      name,
      attention: { width, heads: config.heads, dropout: config.dropout, std: config.initStd, outputStd },
      feedForward: config.feedForward({ index: index + 1, name, std: config.initStd, outputStd }),
      dropout: config.dropout,
      norm: 'pre',
      causal: true,
      cross: false,
    });
  });
  const parameters: ParameterSpec[] = [
    ...embeddingParameters('wte', config.vocabularySize, width, config.initStd),
    ...embeddingParameters('wpe', config.contextLength, width, config.initStd),
    ...layers.flatMap((layer) => layer.parameters),
    ...layerNormParameters('ln_f', width),
  ];

  const hidden: LanguageModel<Trace>['hidden'] = (weights, inputs, shape, context) => {
    if (shape.length > config.contextLength) {
      throw new XMoEError('shape', `sequences of ${shape.length} tokens exceed the context of ${config.contextLength}`, {
        op: 'languageModel',
        hint: 'shorten the sequences, or train with a larger contextLength',
      });
    }
    const start = addPositions(engine, weights, 'wpe', embedding(weights, 'wte', inputs, context), shape);
    const dropped = dropoutAt('embd', start, config.dropout, context);
    const stack = applyStack(engine, layers, weights, { x: dropped, shape, keyMask: null }, { ...context, tokenIds: inputs }, {
      checkpointing: config.checkpointing ?? false,
    });
    return { ...stack, x: normalize(weights, 'ln_f', stack.x) };
  };

  const tokenLosses: LanguageModel<Trace>['tokenLosses'] = (weights, batch, context) => {
    const { x, traces } = hidden(weights, batch.inputs, batch.shape, context);
    return { losses: project(weights, x, batch.targets), traces };
  };

  return {
    config,
    parameters,
    hidden,
    tokenLosses,
    loss(weights, batch, context, options = {}) {
      const { x, auxLoss, traces } = hidden(weights, batch.inputs, batch.shape, context);
      const total = sum(project(weights, x, batch.targets));
      const normalizer = options.normalizer ?? sum(cast(greaterEqual(batch.targets, 0), 'float32'));
      const crossEntropy = divide(total, normalizer);
      const scaledAux = auxLoss && options.auxScale !== undefined && options.auxScale !== 1 ? multiply(auxLoss, options.auxScale) : auxLoss;
      return { loss: scaledAux ? add(crossEntropy, scaledAux) : crossEntropy, crossEntropy, auxLoss: scaledAux, traces };
    },
    logitsAt(weights, inputs, shape, position, context) {
      const { x } = hidden(weights, inputs, shape, context);
      const rows = reshape(slice(reshape(x, [shape.batch, shape.length, width]), [0, position, 0], [shape.batch, 1, width]), [shape.batch, width]);
      return matmul(rows, tiedWeight(weights, rows), { transposeB: true, dtype: 'float32' });
    },
  };
}

/** The output projection shares the token embedding (GPT-2). */
function tiedWeight(weights: Parameters, like: Tensor): Tensor {
  return cast(parameter(weights, 'wte.weight'), like.dtype);
}

function project(weights: Parameters, x: Tensor, targets: Tensor): Tensor {
  return linearCrossEntropy(x, tiedWeight(weights, x), targets);
}

function checkConfig(config: LanguageModelConfig): void {
  if (config.width % config.heads !== 0) {
    throw new XMoEError('config', `width ${config.width} is not a multiple of heads ${config.heads}`, { op: 'languageModel', hint: 'choose heads that divide the width' });
  }
}
