// The in-place optimiser step and the squared norm that clipping needs.
import type { Tensor } from '../tensor.js';
import { requireDType, requireExtent } from './check.js';

/**
 * AdamW (Loshchilov and Hutter 2019), in place on parameter, m and v: float32, one shape. gradient float32.
 * hyper float32 [8]: learning rate, β1, β2, ε, weight decay, 1 − β1ᵗ, 1 − β2ᵗ, gradient scale (0 skips the step).
 */
export function adamStep(parameter: Tensor, gradient: Tensor, m: Tensor, v: Tensor, hyper: Tensor, options: { decay: boolean }): void {
  const op = 'adamStep';
  for (const [name, tensor] of [['parameter', parameter], ['gradient', gradient], ['m', m], ['v', v]] as const) {
    requireDType(op, name, tensor, 'float32');
    requireExtent(op, `the size of ${name}`, tensor.size, parameter.size);
  }
  requireExtent(op, 'the size of hyper', hyper.size, 8);
  parameter.engine.kernels.adamStep(parameter, gradient, m, v, hyper, options);
}

/** Σ x²: float32 []. */
export function sumSquares(x: Tensor): Tensor {
  const out = x.engine.empty([]);
  x.engine.kernels.sumSquares(x, { buffer: out.buffer, shape: [1], dtype: 'float32' });
  return out;
}
