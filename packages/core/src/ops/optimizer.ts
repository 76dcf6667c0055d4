// The in-place optimiser step (no gradient) and the squared norm that clipping needs.
import type { Tensor } from '../tensor.js';
import { requireDType, requireExtent, requireFloat, requireSameEngine } from './check.js';
import { cast, multiply } from './elementwise.js';
import { view } from './view.js';

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
  requireSameEngine(op, parameter, gradient, m, v, hyper);
  requireDType(op, 'hyper', hyper, 'float32');
  requireExtent(op, 'the size of hyper', hyper.size, 8);
  parameter.engine.kernels.adamStep(parameter, gradient, m, v, hyper, options);
}

/** Σ x² of floats: float32 []. */
export function sumSquares(x: Tensor): Tensor {
  requireFloat('sumSquares', 'x', x);
  const out = x.engine.empty([]);
  x.engine.kernels.sumSquares(x, view(out, [1]));
  x.engine.tape?.record({
    op: 'sumSquares',
    inputs: [x],
    outputs: [out],
    saved: [x],
    backward: ([dy], [input]) => [cast(multiply(cast(input!, 'float32'), multiply(dy!, 2)), input!.dtype)],
  });
  return out;
}
