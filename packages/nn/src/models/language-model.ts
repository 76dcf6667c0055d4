// The decoder-only language model: GPT-2's shape with any feed-forward in any layer. Not a trainer and not a sampler.
import {
  cast, linearCrossEntropy, matmul, parameter, reshape, slice, statesOf, withoutRepeatedStates,
  type FeedForward, type ForwardContext, type LayerState, type ParameterSpec, type Parameters, type Tensor,
} from '@xmoe/core';
import type { PrefixState } from '../decoding/prefix-state.js';
import { checkHeads, type BatchShape } from '../layers/attention.js';
import { dropoutAt } from '../layers/dropout.js';
import { embedding, embeddingParameters, layerNormParameters, normalize } from '../layers/linear.js';
import { createTransformerLayer, type TransformerLayer } from '../layers/transformer-layer.js';
import { combineLosses, type LossOptions, type ModelLoss } from './loss.js';
import { addPositions, learnedPositions } from './positions.js';
import { readNext, readPrefixes, type DecodedPosition, type PrefixBatch, type PrefixParts } from './prefix-decoding.js';
import { applyStack, type LayerTrace, type StackResult } from './stack.js';

export interface LanguageModelConfig<Trace = unknown> {
  readonly vocabularySize: number;
  /** Longest sequence: learned positions. */
  readonly contextLength: number;
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
  /** On embeddings, residual branches and attention probabilities. */
  readonly dropout: number;
  /** Standard deviation of the initial weights; projections into the residual stream use std / √(2·layers). */
  readonly initStd: number;
  /** The feed-forward of layer `index` (1-based); `name` is its parameter prefix without a suffix, e.g. `h.0`. */
  readonly feedForward: (layer: { index: number; name: string; std: number; outputStd: number }) => FeedForward<Trace>;
  /** Recompute layers in the backward pass instead of keeping their activations. */
  readonly checkpointing?: boolean;
  /** ε of all layer norms. Default 1e-5. */
  readonly layerNormEpsilon?: number;
  /** Whether the output projection is the token embedding (GPT-2). Default true; false adds `lm_head.weight` [V, d]. */
  readonly tiedEmbeddings?: boolean;
}

/** B sequences of T tokens. */
export interface LanguageModelBatch {
  shape: BatchShape;
  /** int32 [B·T] */
  inputs: Tensor;
  /** int32 [B·T]; −1 where there is nothing to predict. */
  targets: Tensor;
}

export interface LanguageModel<Trace = unknown> {
  readonly config: LanguageModelConfig<Trace>;
  readonly parameters: readonly ParameterSpec[];
  /** What of the parameters is not trained, and how it moves. */
  readonly states: readonly LayerState[];
  /** Final hidden states [B·T, d]. */
  hidden(parameters: Parameters, inputs: Tensor, shape: BatchShape, context: ForwardContext): HiddenStates<Trace>;
  loss(parameters: Parameters, batch: LanguageModelBatch, context: ForwardContext, options?: LossOptions): ModelLoss<Trace>;
  /** Nats of each target: float32 [B·T], 0 where there is none. */
  tokenLosses(parameters: Parameters, batch: LanguageModelBatch, context: ForwardContext): TokenLosses<Trace>;
  /** Logits of one position of each sequence: float32 [B, V]. */
  logitsAt(parameters: Parameters, inputs: Tensor, shape: BatchShape, position: number, context: ForwardContext): Tensor;
  /** Logits of hidden states [R, d]: float32 [R, V]. */
  logits(parameters: Parameters, states: Tensor): Tensor;
  /** Reads whole prefixes: the states of the last token of each [B, d], and what the next ones need. */
  startDecoding(parameters: Parameters, prefixes: PrefixBatch, context: ForwardContext): DecodedPosition;
  /** Reads one more token of each prefix: tokens int32 [R] → their states [R, d], as the last ones of `hidden` over the whole prefixes. */
  decodeStep(parameters: Parameters, state: PrefixState, tokens: Tensor, context: ForwardContext): DecodedPosition;
}

export type HiddenStates<Trace> = StackResult<Trace>;

export interface TokenLosses<Trace> {
  losses: Tensor;
  traces: LayerTrace<Trace>[];
}

/**
 * GPT-2 (Radford et al. 2019). It needs no engine: what applies it brings tensors of one. Layer 1 has the parameters `h.0`, as in
 * GPT-2's checkpoints. Pre-norm layers, learned positions, an output projection tied to the token embedding unless
 * the configuration says otherwise.
 * @throws XMoEError `config` when the heads do not divide the width
 */
export function createLanguageModel<Trace = unknown>(config: LanguageModelConfig<Trace>): LanguageModel<Trace> {
  checkHeads('languageModel', config);
  const { vocabularySize, contextLength, width, initStd, checkpointing = false, tiedEmbeddings = true } = config;
  const head = tiedEmbeddings ? 'wte' : 'lm_head';
  const layers = createLayers(config);
  const positions = learnedPositions('wpe', { contextLength, width, std: initStd });

  const parts: PrefixParts<Trace> = {
    layers,
    positions,
    embed(weights, tokens, rows, context) {
      const length = rows.shape[0]!;
      const x = addPositions(embedding(weights, 'wte', tokens, context), rows, { batch: tokens.size / length, length });
      return dropoutAt('embd', x, config.dropout, context);
    },
    end: (weights, x) => normalize(weights, 'ln_f', x, config.layerNormEpsilon),
  };
  const hidden: LanguageModel<Trace>['hidden'] = (weights, inputs, shape, context) => {
    const x = parts.embed(weights, inputs, positions.rows(inputs.engine, weights, shape.length), context);
    const stack = applyStack(layers, weights, { x, shape, keyMask: null }, { ...context, tokenIds: inputs }, { checkpointing });
    return { ...stack, x: parts.end(weights, stack.x) };
  };
  const logits: LanguageModel<Trace>['logits'] = (weights, states) =>
    matmul(states, cast(parameter(weights, `${head}.weight`), states.dtype), { transposeB: true, dtype: 'float32' });
  const project = (weights: Parameters, x: Tensor, targets: Tensor): Tensor => linearCrossEntropy(x, parameter(weights, `${head}.weight`), targets);

  return {
    config,
    parameters: withoutRepeatedStates([
      ...embeddingParameters('wte', vocabularySize, width, initStd),
      ...positions.parameters,
      ...layers.flatMap((layer) => layer.parameters),
      ...layerNormParameters('ln_f', width),
      ...(tiedEmbeddings ? [] : embeddingParameters(head, vocabularySize, width, initStd)),
    ]),
    states: statesOf(layers),
    hidden,
    tokenLosses(weights, { inputs, targets, shape }, context) {
      const { x, traces } = hidden(weights, inputs, shape, context);
      return { losses: project(weights, x, targets), traces };
    },
    loss(weights, { inputs, targets, shape }, context, options = {}) {
      const { x, auxLoss, traces, sums } = hidden(weights, inputs, shape, context);
      return { ...combineLosses(project(weights, x, targets), targets, auxLoss, options), traces, sums };
    },
    logitsAt(weights, inputs, shape, position, context) {
      const { x } = hidden(weights, inputs, shape, context);
      const sequences = reshape(x, [shape.batch, shape.length, width]);
      return logits(weights, reshape(slice(sequences, [0, position, 0], [shape.batch, 1, width]), [shape.batch, width]));
    },
    logits,
    startDecoding: (weights, prefixes, context) => readPrefixes(parts, weights, prefixes, context),
    decodeStep: (weights, state, tokens, context) => readNext(parts, weights, state, tokens, context),
  };
}

function createLayers<Trace>(config: LanguageModelConfig<Trace>): TransformerLayer<Trace>[] {
  const { width, heads, dropout, initStd, layerNormEpsilon } = config;
  const outputStd = initStd / Math.sqrt(2 * config.layers);
  return Array.from({ length: config.layers }, (_, index) => {
    const name = `h.${index}`;
    return createTransformerLayer<Trace>({
      name,
      attention: { width, heads, dropout, std: initStd, outputStd },
      feedForward: config.feedForward({ index: index + 1, name, std: initStd, outputStd }),
      dropout,
      norm: 'pre',
      causal: true,
      cross: false,
      ...(layerNormEpsilon === undefined ? {} : { epsilon: layerNormEpsilon }),
    });
  });
}
