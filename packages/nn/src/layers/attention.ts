// Multi-head attention layers: self-attention with one fused projection (GPT-2), and cross-attention. The attention itself
// is an op of core.
import {
  addRows, attention, concat, hashName, reshape, split, transpose, XMoEError,
  type ForwardContext, type ParameterSpec, type Parameters, type Tensor,
} from '@xmoe/core';
import { linear, linearParameters } from './linear.js';

export interface AttentionConfig {
  readonly width: number;
  readonly heads: number;
  /** Dropout on the attention probabilities. */
  readonly dropout: number;
  readonly std: number;
  /** Standard deviation of the output projection. */
  readonly outputStd: number;
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

/** Keys and values: [B·heads, T, D] each, or with room for later positions behind them. */
export interface KeyValues {
  readonly k: Tensor;
  readonly v: Tensor;
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
  const [q, k, v] = projectHeads(parameters, `${name}.c_attn`, x, shape, config.heads, 3);
  const mixed = attend(q!, k!, v!, name, config, context, options);
  return linear(parameters, `${name}.c_proj`, mergeHeads(mixed, shape, config.heads));
}

/**
 * Causal self-attention of new positions: x [B·T, d] are the last T of B sequences, `past` holds the keys and values of those
 * before them, keyMask bool [B, past + T] hides padding. `keyValues` are the past with the new ones at the end. With `place`, int32 [B·heads], the new
 * position (T = 1) is written into `past` at these rows of [B·heads·capacity, D], and keyMask [B, capacity] hides what is not filled.
 */
export function extendSelfAttention(
  parameters: Parameters,
  name: string,
  x: Tensor,
  shape: BatchShape,
  past: KeyValues | null,
  config: AttentionConfig,
  context: ForwardContext,
  keyMask: Tensor | null,
  place: Tensor | null = null,
): { output: Tensor; keyValues: KeyValues } {
  const [q, k, v] = projectHeads(parameters, `${name}.c_attn`, x, shape, config.heads, 3);
  const keyValues = extended(past, { k: k!, v: v! }, place);
  const mixed = attend(q!, keyValues.k, keyValues.v, name, config, context, { causal: shape.length > 1, keyMask });
  return { output: linear(parameters, `${name}.c_proj`, mergeHeads(mixed, shape, config.heads)), keyValues };
}

function extended(past: KeyValues | null, next: KeyValues, place: Tensor | null): KeyValues {
  if (!past) return next;
  if (!place) return { k: concat([past.k, next.k], 1), v: concat([past.v, next.v], 1) };
  const [heads, capacity, size] = past.k.shape as [number, number, number];
  // Zeros are there: what is added is what is written.
  for (const [into, x] of [[past.k, next.k], [past.v, next.v]] as const) addRows(reshape(into, [heads * capacity, size]), reshape(x, [heads, size]), place);
  return past;
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
  const keyValues = crossKeyValues(parameters, name, memory, { batch: shape.batch, length: memoryLength }, config);
  return attendMemory(parameters, name, x, shape, keyValues, memoryMask, config, context);
}

/** The keys and values of a memory [B·Tk, d], which are the same for every query. */
export function crossKeyValues(parameters: Parameters, name: string, memory: Tensor, shape: BatchShape, config: AttentionConfig): KeyValues {
  const [k, v] = projectHeads(parameters, `${name}.c_attn`, memory, shape, config.heads, 2);
  return { k: k!, v: v! };
}

/** {@link crossAttention} over the keys and values of {@link crossKeyValues}. */
export function attendMemory(
  parameters: Parameters,
  name: string,
  x: Tensor,
  shape: BatchShape,
  keyValues: KeyValues,
  memoryMask: Tensor | null,
  config: AttentionConfig,
  context: ForwardContext,
): Tensor {
  const [q] = projectHeads(parameters, `${name}.q_attn`, x, shape, config.heads, 1);
  const mixed = attend(q!, keyValues.k, keyValues.v, name, config, context, { causal: false, keyMask: memoryMask });
  return linear(parameters, `${name}.c_proj`, mergeHeads(mixed, shape, config.heads));
}

/** One linear layer to `parts` tensors side by side: x [B·T, d] → parts × [B·heads, T, D]. */
function projectHeads(parameters: Parameters, name: string, x: Tensor, { batch, length }: BatchShape, heads: number, parts: number): Tensor[] {
  const projected = linear(parameters, name, x); // [B·T, parts·d]
  const size = projected.shape[1]! / (parts * heads);
  const byHead = transpose(reshape(projected, [batch, length, parts, heads, size]), [2, 0, 3, 1, 4]); // [parts, B, H, T, D]
  const joined = reshape(byHead, [parts * batch * heads, length, size]);
  return parts === 1 ? [joined] : split(joined, new Array<number>(parts).fill(batch * heads));
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

/** [B·heads, T, d/heads] → [B·T, d]. */
function mergeHeads(x: Tensor, { batch, length }: BatchShape, heads: number): Tensor {
  const size = x.shape[2]!;
  return reshape(transpose(reshape(x, [batch, heads, length, size]), [0, 2, 1, 3]), [batch * length, heads * size]);
}
