// Scaled dot-product attention: causal, padded and cross.
import { XMoEError } from '../errors.js';
import { formatShape, sameShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import {
  engineOf, requireDType, requireExtent, requireFloat, requireKey, requireNumber, requireOptions, requireRank, requireSameDType,
  requireSameEngine, requireInteger,
} from './check.js';

export interface AttentionArguments {
  /** Heads per batch row. */
  heads: number;
  /** Query i sees keys j ≤ i + (Tk − Tq). */
  causal?: boolean;
  /** bool [B, Tk]; keys with false are unseen, whatever k and v hold there. */
  keyMask?: Tensor | null;
  /** 1/√D by default. */
  scale?: number;
  /** Dropout on the probabilities; `key` uint32 [2]. */
  dropout?: { key: Tensor; rate: number; stream: number } | null;
}

/**
 * softmax(scale·q·kᵀ + mask)·v (Vaswani et al. 2017). q [B·heads, Tq, D], k and v [B·heads, Tk, D] → as q.
 * A query that sees no key gives zeros.
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionArguments): Tensor {
  const op = 'attention';
  const engine = engineOf(op, 'q', q);
  checkAttention(op, q, k, v, options);
  const dropout = options.dropout && options.dropout.rate > 0 ? options.dropout : null;
  const attributes = {
    heads: options.heads,
    causal: options.causal ?? false,
    scale: options.scale ?? 1 / Math.sqrt(Math.max(1, q.shape[2]!)),
    dropoutRate: dropout?.rate ?? 0,
    stream: dropout?.stream ?? 0,
  };
  const keyMask = options.keyMask ?? null;
  const out = engine.empty(q.shape, q.dtype);
  const stats = engine.empty([q.shape[0]!, q.shape[1]!, 2]);
  engine.kernels.attention({ q, k, v, keyMask, key: dropout?.key ?? null }, { out, stats }, attributes);
  engine.tape?.record({
    op,
    inputs: [q, k, v],
    outputs: [out],
    saved: [q, k, v, out, stats, ...(keyMask ? [keyMask] : []), ...(dropout ? [dropout.key] : [])],
    backward: ([dy], saved) => {
      const [sq, sk, sv, sout, sstats] = saved as [Tensor, Tensor, Tensor, Tensor, Tensor];
      const mask = keyMask ? saved[5]! : null;
      const key = dropout ? saved[saved.length - 1]! : null;
      const [dq, dk, dv] = [sq, sk, sv].map((tensor) => engine.empty(tensor.shape, tensor.dtype)) as [Tensor, Tensor, Tensor];
      engine.kernels.attentionGrad({ q: sq, k: sk, v: sv, keyMask: mask, key, out: sout, stats: sstats, dout: dy! }, { dq, dk, dv }, attributes);
      return [dq, dk, dv];
    },
  });
  return out;
}

function checkAttention(op: string, q: Tensor, k: Tensor, v: Tensor, options: AttentionArguments): void {
  requireOptions(op, options);
  requireInteger(op, 'heads', options.heads, 1);
  if (options.scale !== undefined) requireNumber(op, 'scale', options.scale);
  requireSameEngine(op, q, k, v, options.keyMask, options.dropout?.key);
  for (const [name, tensor] of [['q', q], ['k', k], ['v', v]] as const) {
    requireRank(op, name, tensor, 3);
    requireFloat(op, name, tensor);
    requireSameDType(op, q, tensor);
  }
  if (k.shape[0] !== q.shape[0] || k.shape[2] !== q.shape[2] || !sameShape(k.shape, v.shape)) {
    throw new XMoEError('shape', `q ${formatShape(q.shape)}, k ${formatShape(k.shape)}, v ${formatShape(v.shape)} do not fit`, {
      op,
      hint: 'q is [B·heads, Tq, D], k and v are [B·heads, Tk, D]',
    });
  }
  if (!Number.isInteger(options.heads) || options.heads < 1 || q.shape[0]! % options.heads !== 0) {
    throw new XMoEError('value', `${options.heads} heads do not divide a leading dimension of ${q.shape[0]}`, { op, hint: 'the leading dimension is batch · heads' });
  }
  if (options.keyMask) {
    requireDType(op, 'keyMask', options.keyMask, 'bool');
    requireRank(op, 'keyMask', options.keyMask, 2);
    requireExtent(op, 'the batch of keyMask', options.keyMask.shape[0]!, q.shape[0]! / options.heads);
    requireExtent(op, 'the number of keys of keyMask', options.keyMask.shape[1]!, k.shape[1]!);
  }
  if (!options.dropout) return;
  requireOptions(op, options.dropout);
  requireKey(op, options.dropout.key);
  requireNumber(op, 'the dropout rate', options.dropout.rate);
  if (!(options.dropout.rate >= 0 && options.dropout.rate < 1)) {
    throw new XMoEError('value', `the dropout rate is ${options.dropout.rate}`, { op, hint: 'pass a rate from 0 to below 1' });
  }
}
