// One Transformer layer around any feed-forward: self-attention, optional cross-attention, feed-forward, residuals.
import {
  add, XMoEError,
  type FeedForward, type ForwardContext, type ParameterSpec, type Parameters, type Tensor,
} from '@xmoe/core';
import {
  crossAttention, crossAttentionParameters, selfAttention, selfAttentionParameters,
  type AttentionConfig, type BatchShape,
} from './attention.js';
import { dropoutAt } from './dropout.js';
import { layerNormParameters, normalize } from './linear.js';

export interface TransformerLayerConfig<Trace> {
  /** Prefix of the parameters, e.g. `h.0`. */
  name: string;
  attention: AttentionConfig;
  feedForward: FeedForward<Trace>;
  /** Dropout on each residual branch. */
  dropout: number;
  /** pre: x + f(norm(x)) (GPT-2). post: norm(x + f(x)) (Vaswani et al. 2017). */
  norm: 'pre' | 'post';
  causal: boolean;
  /** Adds attention over an encoder's output. */
  cross: boolean;
}

export interface TransformerLayerInput {
  /** [B·T, d] */
  x: Tensor;
  shape: BatchShape;
  /** bool [B, T] or null: padding of the layer's own sequence. */
  keyMask: Tensor | null;
  /** Encoder output for cross-attention: x [B·length, d], mask bool [B, length] or null. */
  memory?: { x: Tensor; length: number; mask: Tensor | null };
}

export interface TransformerLayer<Trace> {
  readonly name: string;
  readonly parameters: readonly ParameterSpec[];
  apply(parameters: Parameters, input: TransformerLayerInput, context: ForwardContext): LayerResult<Trace>;
}

export interface LayerResult<Trace> {
  /** [B·T, d] */
  x: Tensor;
  auxLoss: Tensor | null;
  trace: Trace | null;
}

/**
 * Parameters: `name.ln_1`, `name.attn`, with `cross` also `name.ln_cross_attn` and `name.crossattention`, `name.ln_2`, and
 * those of the feed-forward.
 * @throws XMoEError `value` when a layer with `cross` is applied without memory
 */
export function createTransformerLayer<Trace>(config: TransformerLayerConfig<Trace>): TransformerLayer<Trace> {
  const { name, attention, feedForward } = config;
  const { width } = attention;
  const parameters: ParameterSpec[] = [
    ...layerNormParameters(`${name}.ln_1`, width),
    ...selfAttentionParameters(`${name}.attn`, attention),
    ...(config.cross ? [...layerNormParameters(`${name}.ln_cross_attn`, width), ...crossAttentionParameters(`${name}.crossattention`, attention)] : []),
    ...layerNormParameters(`${name}.ln_2`, width),
    ...feedForward.parameters,
  ];
  return {
    name,
    parameters,
    apply(weights, input, context) {
      // x + dropout(f(norm(x))) or norm(x + dropout(f(x))).
      const residual = (x: Tensor, normName: string, site: string, branch: (x: Tensor) => Tensor): Tensor => {
        const pre = config.norm === 'pre';
        const out = branch(pre ? normalize(weights, normName, x) : x);
        const sum = add(x, dropoutAt(`${name}.${site}`, out, config.dropout, context));
        return pre ? sum : normalize(weights, normName, sum);
      };
      let auxLoss: Tensor | null = null;
      let trace: Trace | null = null;
      const { memory, shape } = input;
      let x = residual(input.x, `${name}.ln_1`, 'attn', (h) =>
        selfAttention(weights, `${name}.attn`, h, shape, attention, context, { causal: config.causal, keyMask: input.keyMask }),
      );
      if (config.cross) {
        if (!memory) throw new XMoEError('value', `${name} attends over an encoder, but there is no memory`, { op: 'transformerLayer', hint: 'pass the states of the encoder as memory' });
        x = residual(x, `${name}.ln_cross_attn`, 'crossattention', (h) =>
          crossAttention(weights, `${name}.crossattention`, h, shape, memory.x, memory.length, memory.mask, attention, context),
        );
      }
      x = residual(x, `${name}.ln_2`, 'mlp', (h) => {
        const result = feedForward.apply(weights, h, context);
        auxLoss = result.auxLoss;
        trace = result.trace;
        return result.output;
      });
      return { x, auxLoss, trace };
    },
  };
}
