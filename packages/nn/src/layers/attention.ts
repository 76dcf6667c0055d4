// Multi-head attention layers: self-attention with one fused projection (GPT-2), and cross-attention. The attention itself
// is an op of core.
import {
  attention, hashName, reshape, split, transpose, XMoEError,
  type ForwardContext, type ParameterSpec, type Parameters, type Tensor,
} from '@xmoe/core';
import { linear, linearParameters } from './linear.js';

export interface AttentionConfig {
  width: number;
  heads: number;
  /** Dropout on the attention probabilities. */
  dropout: number;
  std: number;
  /** Standard deviation of the output projection. */
  outputStd: number;
}

/** The rows of a batch: B sequences of T positions. */
export interface BatchShape {
  batch: number;
  length: number;
}

/** @throws XMoEError `config` unless heads ≥ 1 divide the width */
export function checkHeads(op: string, { width, heads }: { width: number; heads: number }): void {
  if (Number.isInteger(heads) && heads >= 1 && width % heads === 0) return;
  throw new XMoEError('config', `width ${width} is not a multiple of heads ${heads}`, { op, hint: 'choose heads that divide the width' });
}

/** Specs of `name.c_attn` [d, 3d] and `name.c_proj` [d, d]. */
export function selfAttentionParameters(name: string, config: AttentionConfig): ParameterSpec[] {
  const { width } = config;
  return [
    ...linearParameters(`${name}.c_attn`, { inputs: width, outputs: 3 * width, std: config.std }),
    ...linearParameters(`${name}.c_proj`, { inputs: width, outputs: width, std: config.outputStd }),
  ];
}

/** x [B·T, d] → [B·T, d]. keyMask bool [B, T] hides padding. */
export function selfAttention(
  parameters: Parameters,
  name: string,
  x: Tensor,
  shape: BatchShape,
  config: AttentionConfig,
  context: ForwardContext,
  options: { causal: boolean; keyMask: Tensor | null },
): Tensor {
  const { batch, length } = shape;
  const { heads, width } = config;
  const projected = linear(parameters, `${name}.c_attn`, x); // [B·T, 3d]
  const parts = transpose(reshape(projected, [batch, length, 3, heads, width / heads]), [2, 0, 3, 1, 4]); // [3, B, H, T, D]
  const [q, k, v] = split(reshape(parts, [3 * batch * heads, length, width / heads]), [batch * heads, batch * heads, batch * heads]);
  const mixed = attend(q!, k!, v!, name, config, context, options);
  return linear(parameters, `${name}.c_proj`, mergeHeads(mixed, shape, heads));
}

/** Specs of `name.q_attn` [d, d], `name.c_attn` [d, 2d] (keys and values) and `name.c_proj` [d, d]. */
export function crossAttentionParameters(name: string, config: AttentionConfig): ParameterSpec[] {
  const { width } = config;
  return [
    ...linearParameters(`${name}.q_attn`, { inputs: width, outputs: width, std: config.std }),
    ...linearParameters(`${name}.c_attn`, { inputs: width, outputs: 2 * width, std: config.std }),
    ...linearParameters(`${name}.c_proj`, { inputs: width, outputs: width, std: config.outputStd }),
  ];
}

/** Queries from x [B·Tq, d], keys and values from memory [B·Tk, d] with memoryMask bool [B, Tk] → [B·Tq, d]. */
export function crossAttention(
  parameters: Parameters,
  name: string,
  x: Tensor,
  shape: BatchShape,
  memory: Tensor,
  memoryLength: number,
  memoryMask: Tensor | null,
  config: AttentionConfig,
  context: ForwardContext,
): Tensor {
  const { batch } = shape;
  const { heads, width } = config;
  const q = splitHeads(linear(parameters, `${name}.q_attn`, x), shape, heads);
  const projected = linear(parameters, `${name}.c_attn`, memory); // [B·Tk, 2d]
  const parts = transpose(reshape(projected, [batch, memoryLength, 2, heads, width / heads]), [2, 0, 3, 1, 4]); // [2, B, H, Tk, D]
  const [k, v] = split(reshape(parts, [2 * batch * heads, memoryLength, width / heads]), [batch * heads, batch * heads]);
  const mixed = attend(q, k!, v!, name, config, context, { causal: false, keyMask: memoryMask });
  return linear(parameters, `${name}.c_proj`, mergeHeads(mixed, shape, heads));
}

function attend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  name: string,
  config: AttentionConfig,
  context: ForwardContext,
  options: { causal: boolean; keyMask: Tensor | null },
): Tensor {
  const active = context.training && context.key !== null && config.dropout > 0;
  const dropout = active ? { key: context.key!, rate: config.dropout, stream: hashName(`${name}.attn_dropout`) } : null;
  return attention(q, k, v, { heads: config.heads, causal: options.causal, keyMask: options.keyMask, dropout });
}

/** [B·T, d] → [B·heads, T, d/heads]. */
function splitHeads(x: Tensor, { batch, length }: BatchShape, heads: number): Tensor {
  const size = x.shape[1]! / heads;
  return reshape(transpose(reshape(x, [batch, length, heads, size]), [0, 2, 1, 3]), [batch * heads, length, size]);
}

/** [B·heads, T, d/heads] → [B·T, d]. */
function mergeHeads(x: Tensor, { batch, length }: BatchShape, heads: number): Tensor {
  const size = x.shape[2]!;
  return reshape(transpose(reshape(x, [batch, heads, length, size]), [0, 2, 1, 3]), [batch * length, heads * size]);
}
