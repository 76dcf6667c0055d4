// One Transformer layer around any feed-forward: self-attention, optional cross-attention, feed-forward, residuals.
import {
  add, XMoEError,
  type FeedForward, type ForwardContext, type LayerState, type ParameterSpec, type Parameters, type Tensor,
} from '@xmoe/core';
import {
  attendMemory, crossAttention, crossAttentionParameters, crossKeyValues, extendSelfAttention, selfAttention, selfAttentionParameters,
  type AttentionConfig, type BatchShape, type KeyValues,
} from './attention.js';
import { dropoutAt } from './dropout.js';
import { layerNormParameters, normalize } from './linear.js';

export interface TransformerLayerConfig<Trace> {
  /** Prefix of the parameters, e.g. `h.0`. */
  readonly name: string;
  readonly attention: AttentionConfig;
  readonly feedForward: FeedForward<Trace>;
  /** Dropout on each residual branch. */
  readonly dropout: number;
  /** pre: x + f(norm(x)) (GPT-2). post: norm(x + f(x)) (Vaswani et al. 2017). */
  readonly norm: 'pre' | 'post';
  readonly causal: boolean;
  /** Adds attention over an encoder's output. */
  readonly cross: boolean;
  /** ε of its layer norms. Default 1e-5. */
  readonly epsilon?: number;
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

/** The next T positions of R sequences. */
export interface LayerStepInput {
  /** [R·T, d] */
  x: Tensor;
  shape: BatchShape;
  /** Of the positions before; null at the first. */
  past: KeyValues | null;
  /** bool [R, past + T] or null: padding among the positions before and the new ones. */
  keyMask: Tensor | null;
  /** int32 [R·heads]: where one new position is written into `past`, which has room; keyMask [R, capacity]. Without it, it is appended to a copy. */
  place?: Tensor;
  /** Of S sequences that R / S rows each attend to, with mask bool [S, Ts] or null. For layers with `cross`. */
  memory?: { keyValues: KeyValues; sequences: number; mask: Tensor | null };
}

export interface LayerStepResult<Trace> extends LayerResult<Trace> {
  /** The past with the new positions at the end. */
  keyValues: KeyValues;
}

export interface TransformerLayer<Trace> {
  readonly name: string;
  readonly parameters: readonly ParameterSpec[];
  /** Those of the feed-forward. */
  readonly states: readonly LayerState[];
  apply(parameters: Parameters, input: TransformerLayerInput, context: ForwardContext): LayerResult<Trace>;
  /** Keys and values of the memory [S·Ts, d] for {@link step}. */
  remember(parameters: Parameters, memory: Tensor, shape: BatchShape): KeyValues;
  /** As `apply` with `causal`, for the positions after those in `past`. */
  step(parameters: Parameters, input: LayerStepInput, context: ForwardContext): LayerStepResult<Trace>;
}

export interface LayerResult<Trace> {
  /** [B·T, d] */
  x: Tensor;
  auxLoss: Tensor | null;
  trace: Trace | null;
  /** What the feed-forward's states move by; null where nothing does. */
  sums: Parameters | null;
}

/**
 * Parameters: `name.ln_1`, `name.attn`, with `cross` also `name.ln_cross_attn` and `name.crossattention`, `name.ln_2`, and
 * those of the feed-forward.
 * @throws XMoEError `value` when a layer with `cross` is applied without memory
 */
export function createTransformerLayer<Trace>(config: TransformerLayerConfig<Trace>): TransformerLayer<Trace> {
  const { name, attention, feedForward, epsilon } = config;
  /** The residual branches in order, whatever its attention looks at: [R, d] → [R, d]. */
  const run = (weights: Parameters, start: Tensor, self: Branch, cross: Branch | null, context: ForwardContext): LayerResult<Trace> => {
    // x + dropout(f(norm(x))) or norm(x + dropout(f(x))).
    const residual = (x: Tensor, normName: string, site: string, branch: Branch): Tensor => {
      const pre = config.norm === 'pre';
      const out = branch(pre ? normalize(weights, normName, x, epsilon) : x);
      const sum = add(x, dropoutAt(`${name}.${site}`, out, config.dropout, context));
      return pre ? sum : normalize(weights, normName, sum, epsilon);
    };
    let auxLoss: Tensor | null = null;
    let trace: Trace | null = null;
    let sums: Parameters | null = null;
    let x = residual(start, `${name}.ln_1`, 'attn', self);
    if (cross) x = residual(x, `${name}.ln_cross_attn`, 'crossattention', cross);
    x = residual(x, `${name}.ln_2`, 'mlp', (h) => {
      const result = feedForward.apply(weights, h, context);
      auxLoss = result.auxLoss;
      trace = result.trace;
      sums = result.sums ?? null;
      return result.output;
    });
    return { x, auxLoss, trace, sums };
  };

  return {
    name,
    parameters: layerParameters(config),
    states: feedForward.states ?? [],
    apply(weights, { x, shape, keyMask, memory }, context) {
      if (config.cross && !memory) throw noMemory(name);
      const self: Branch = (h) => selfAttention(weights, `${name}.attn`, h, shape, attention, context, { causal: config.causal, keyMask });
      const cross: Branch = (h) => crossAttention(weights, `${name}.crossattention`, h, shape, memory!.x, memory!.length, memory!.mask, attention, context);
      return run(weights, x, self, config.cross ? cross : null, context);
    },
    remember: (weights, memory, shape) => crossKeyValues(weights, `${name}.crossattention`, memory, shape, attention),
    step(weights, { x, shape, past, keyMask, place, memory }, context) {
      if (config.cross && !memory) throw noMemory(name);
      let keyValues: KeyValues | undefined;
      const self: Branch = (h) => {
        const extended = extendSelfAttention(weights, `${name}.attn`, h, shape, past, attention, context, keyMask, place);
        ({ keyValues } = extended);
        return extended.output;
      };
      // The rows of one sequence are queries side by side: its keys and values are there once.
      const cross: Branch = (h) => {
        const { keyValues: kept, sequences, mask } = memory!;
        return attendMemory(weights, `${name}.crossattention`, h, { batch: sequences, length: h.shape[0]! / sequences }, kept, mask, attention, context);
      };
      const result = run(weights, x, self, config.cross ? cross : null, context);
      return { ...result, keyValues: keyValues! };
    },
  };
}

function layerParameters<Trace>({ name, attention, feedForward, cross }: TransformerLayerConfig<Trace>): ParameterSpec[] {
  const { width } = attention;
  return [
    ...layerNormParameters(`${name}.ln_1`, width),
    ...selfAttentionParameters(`${name}.attn`, attention),
    ...(cross ? [...layerNormParameters(`${name}.ln_cross_attn`, width), ...crossAttentionParameters(`${name}.crossattention`, attention)] : []),
    ...layerNormParameters(`${name}.ln_2`, width),
    ...feedForward.parameters,
  ];
}

function noMemory(name: string): XMoEError {
  return new XMoEError('value', `${name} attends over an encoder, but there is no memory`, { op: 'transformerLayer', hint: 'pass the states of the encoder as memory' });
}

/** What a residual branch computes: [R, d] → [R, d]. */
type Branch = (x: Tensor) => Tensor;
