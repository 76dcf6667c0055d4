// Bias + activation (per segment or for all rows), GELU, and dropout by key.
import type { Activation } from '../contract.js';
import { XMoEError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { requireDType, requireExtent, requireFloat, requireRank } from './check.js';
import { reshape } from './movement.js';

/**
 * activation(x + bias). x [R, C]; bias [C], or [G, C] with `offsets` int32 [G + 1]: row r of segment g gets bias[g], and
 * rows after the last segment become 0. `bias` may be null.
 */
export function biasActivation(x: Tensor, bias: Tensor | null, activation: Activation, offsets: Tensor | null = null): Tensor {
  const op = 'biasActivation';
  const { engine } = x;
  requireRank(op, 'x', x, 2);
  requireFloat(op, 'x', x);
  if (bias) requireExtent(op, 'the last extent of bias', bias.shape[bias.rank - 1]!, x.shape[1]!);
  if (offsets) requireDType(op, 'offsets', offsets, 'int32');
  if (bias) requireExtent(op, 'the number of bias rows', bias.size / Math.max(1, x.shape[1]!), offsets ? offsets.size - 1 : 1);
  const rowsOf = (tensor: Tensor): Tensor => engine.alias(tensor, [tensor.size / Math.max(1, x.shape[1]!), x.shape[1]!]);
  const out = engine.empty(x.shape, x.dtype);
  engine.kernels.biasActivation(x, bias ? rowsOf(bias) : null, offsets, out, { activation });
  engine.tape?.record({
    op,
    inputs: bias ? [x, bias] : [x],
    outputs: [out],
    saved: [x, ...(bias ? [bias] : []), ...(offsets ? [offsets] : [])],
    backward: ([dy], saved, needs) => {
      const input = saved[0]!;
      const savedBias = bias ? saved[1]! : null;
      const savedOffsets = offsets ? saved[saved.length - 1]! : null;
      const dx = engine.empty(input.shape, input.dtype);
      const dbias = savedBias && needs[1] ? engine.empty(savedBias.shape, savedBias.dtype) : null;
      engine.kernels.biasActivationGrad(
        input, savedBias ? rowsOf(savedBias) : null, savedOffsets, dy!, dx, dbias ? rowsOf(dbias) : null, { activation },
      );
      return bias ? [dx, dbias] : [dx];
    },
  });
  return out;
}

/** Gaussian error linear unit (Hendrycks and Gimpel 2016), any shape; `form` as GPT-2 (tanh) or exact (erf). */
export function gelu(x: Tensor, form: 'tanh' | 'erf' = 'tanh'): Tensor {
  const rows = reshape(x, [1, x.size]);
  return reshape(biasActivation(rows, null, form === 'tanh' ? 'gelu-tanh' : 'gelu-erf'), x.shape);
}

/**
 * Inverted dropout: x / (1 − rate) where uniform(key, stream)[i] ≥ rate, else 0. key uint32 [2] on the device, rewritten
 * each step; `stream` names the site (see `hashName`). rate 0 is the identity.
 */
export function dropout(x: Tensor, key: Tensor, options: { rate: number; stream: number }): Tensor {
  const op = 'dropout';
  requireFloat(op, 'x', x);
  requireDType(op, 'key', key, 'uint32');
  if (!(options.rate >= 0 && options.rate < 1)) {
    throw new XMoEError('value', `rate is ${options.rate}`, { op, hint: 'pass a rate from 0 to below 1' });
  }
  if (options.rate === 0) return reshape(x, x.shape);
  const apply = (input: Tensor, keyTensor: Tensor): Tensor => {
    const out = x.engine.empty(input.shape, input.dtype);
    x.engine.kernels.dropout(input, keyTensor, out, options);
    return out;
  };
  const out = apply(x, key);
  x.engine.tape?.record({ op, inputs: [x], outputs: [out], saved: [key], backward: ([dy], [savedKey]) => [apply(dy!, savedKey!)] });
  return out;
}
