// Random tensors drawn on the device by key.
import type { Tensor } from '../tensor.js';
import { engineOf, requireKey, requireInteger } from './check.js';
import { cos, log, maximum, multiply, sqrt, subtract } from './elementwise.js';

/** Uniform numbers in [0, 1), float32 of `shape`. key uint32 [2]; `stream` names the site. Bit-equal on every backend. */
export function randomUniform(key: Tensor, shape: readonly number[], stream = 0): Tensor {
  requireKey('randomUniform', key);
  requireInteger('randomUniform', 'stream', stream, -(2 ** 31), 2 ** 32 - 1); // as bits
  const out = key.engine.empty(shape);
  key.engine.kernels.random({ key }, { out }, { stream });
  return out;
}

/** Standard normal numbers by Box–Muller, float32 of `shape`. Equal on every backend up to rounding. */
export function randomNormal(key: Tensor, shape: readonly number[], stream = 0): Tensor {
  const engine = engineOf('randomNormal', 'key', key);
  return engine.scope(() => {
    const radius = sqrt(multiply(log(subtract(1, randomUniform(key, shape, stream))), -2));
    return multiply(radius, cos(multiply(randomUniform(key, shape, stream ^ 0x5bd1e995), 2 * Math.PI)));
  });
}

/** Gumbel noise −log(−log u), float32 of `shape`. */
export function randomGumbel(key: Tensor, shape: readonly number[], stream = 0): Tensor {
  const engine = engineOf('randomGumbel', 'key', key);
  return engine.scope(() => {
    const positive = subtract(1, randomUniform(key, shape, stream)); // (0, 1]
    const inner = multiply(log(positive), -1); // u = 1 gives 0 and a noise of +∞: floor it at the smallest normal
    return multiply(log(maximum(inner, 1e-30)), -1);
  });
}
