// Bias + activation (per segment or for all rows), GELU, and dropout by key.
import type { Activation } from '../contract.js';
import { XMoEError } from '../errors.js';
import { sizeOf } from '../shape.js';
import type { Tensor } from '../tensor.js';
import {
  engineOf, requireDType, requireExtent, requireFloat, requireKey, requireName, requireNumber, requireOptions, requireRank,
  requireSameEngine, requireTensor,
} from './check.js';
import { reshape } from './movement.js';
import { view } from './view.js';

/**
 * activation(x + bias). x [R, C]; bias [C], or [G, C] with `offsets` int32 [G + 1]: row r of segment g gets bias[g], and
 * rows after the last segment become 0. `bias` may be null.
 */
export function biasActivation(x: Tensor, bias: Tensor | null, activation: Activation, offsets: Tensor | null = null): Tensor {
  const op = 'biasActivation';
  const engine = engineOf(op, 'x', x);
  checkBias(op, x, bias, offsets);
  requireName(op, 'activation', activation, ACTIVATIONS);
  const biasView = [offsets ? offsets.size - 1 : 1, x.shape[1]!]; // [G, C]
  const out = engine.empty(x.shape, x.dtype);
  engine.kernels.biasActivation({ x, bias: bias && view(bias, biasView), offsets }, { out }, { activation });
  const saved = activation === 'none' ? [] : bias ? [x, bias] : [x];
  const [biasShape, biasDType] = [bias?.shape, bias?.dtype];
  engine.tape?.record({
    op,
    inputs: bias ? [x, bias] : [x],
    outputs: [out],
    saved: offsets ? [...saved, offsets] : saved,
    backward: ([dy], kept, needs) => {
      // Without an activation neither x nor the bias matters: dy stands in for x.
      const input = activation === 'none' ? dy! : kept[0]!;
      const biasIn = activation === 'none' || !bias ? null : view(kept[1]!, biasView);
      const dx = engine.empty(dy!.shape, dy!.dtype);
      const dbias = biasShape && needs[1] ? engine.empty(biasShape, biasDType) : null;
      engine.kernels.biasActivationGrad(
        { x: input, bias: biasIn, offsets: offsets ? kept[kept.length - 1]! : null, dy: dy! },
        { dx, dbias: dbias && view(dbias, biasView) }, { activation },
      );
      return [dx, dbias];
    },
  });
  return out;
}

export const ACTIVATIONS: readonly Activation[] = ['none', 'relu', 'gelu-tanh', 'gelu-erf'];

function checkBias(op: string, x: Tensor, bias: Tensor | null, offsets: Tensor | null): void {
  requireRank(op, 'x', x, 2);
  requireFloat(op, 'x', x);
  if (bias !== null) requireTensor(op, 'bias', bias);
  requireSameEngine(op, x, bias, offsets);
  if (offsets) {
    requireRank(op, 'offsets', offsets, 1);
    requireDType(op, 'offsets', offsets, 'int32');
  }
  if (!bias) return;
  requireDType(op, 'bias', bias, 'float32', x.dtype);
  requireExtent(op, 'the last extent of bias', bias.shape[bias.rank - 1] ?? 1, x.shape[1]!);
  requireExtent(op, 'the number of bias rows', sizeOf(bias.shape.slice(0, -1)), offsets ? offsets.size - 1 : 1);
}

/** Gaussian error linear unit (Hendrycks and Gimpel 2016), any shape; `form` as GPT-2 (tanh) or exact (erf). */
export function gelu(x: Tensor, form: 'tanh' | 'erf' = 'tanh'): Tensor {
  requireFloat('gelu', 'x', x);
  requireName('gelu', 'form', form, ['tanh', 'erf']);
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
  requireKey(op, key);
  requireSameEngine(op, x, key);
  requireOptions(op, options);
  requireNumber(op, 'rate', options.rate);
  requireNumber(op, 'stream', options.stream);
  if (!(options.rate >= 0 && options.rate < 1)) {
    throw new XMoEError('value', `rate is ${options.rate}`, { op, hint: 'pass a rate from 0 to below 1' });
  }
  if (options.rate === 0) return reshape(x, x.shape);
  const apply = (input: Tensor, keyTensor: Tensor): Tensor => {
    const out = x.engine.empty(input.shape, input.dtype);
    x.engine.kernels.dropout({ x: input, key: keyTensor }, { out }, options);
    return out;
  };
  const out = apply(x, key);
  x.engine.tape?.record({ op, inputs: [x], outputs: [out], saved: [key], backward: ([dy], [savedKey]) => [apply(dy!, savedKey!)] });
  return out;
}
