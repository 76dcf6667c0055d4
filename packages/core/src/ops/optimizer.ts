// The in-place optimiser step and assignment (no gradients) and the squared norm that clipping needs.
import { XMoEError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { requireDType, requireExtent, requireFloat, requireList, requireOptions, requireSameDType, requireSameEngine } from './check.js';
import { cast, multiply } from './elementwise.js';
import { view } from './view.js';

/**
 * AdamW (Loshchilov and Hutter 2019), in place on parameters, m and v: lists of one length with the gradients, float32, entry i of
 * each of one size. Backends update many at once: pass all that share `decay`.
 * hyper float32 [10]: learning rate, β1, β2, ε, weight decay, 1 − β1ᵗ, 1 − β2ᵗ, gradient scale (0 skips the step), 1 − β1, 1 − β2.
 */
export function adamStep(
  parameters: readonly Tensor[], gradients: readonly Tensor[], m: readonly Tensor[], v: readonly Tensor[], hyper: Tensor, options: { decay: boolean },
): void {
  const op = 'adamStep';
  requireOptions(op, options);
  for (const [name, tensors] of [['parameters', parameters], ['gradients', gradients], ['m', m], ['v', v]] as const) {
    requireList(op, name, tensors);
    requireExtent(op, `the length of ${name}`, tensors.length, parameters.length);
    tensors.forEach((tensor, index) => {
      requireDType(op, `${name}[${index}]`, tensor, 'float32');
      requireExtent(op, `the size of ${name}[${index}]`, tensor.size, parameters[index]!.size);
    });
    requireSameEngine(op, hyper, ...tensors);
  }
  requireDType(op, 'hyper', hyper, 'float32');
  requireExtent(op, 'the size of hyper', hyper.size, 10);
  hyper.engine.kernels.adamStep({ gradients, hyper }, { parameters, m, v }, options);
}

/**
 * Writes `value` into `target` on the device: same shape and dtype. No gradient. For what changes once per update; a tensor that a
 * gradient was recorded with must keep its contents until then.
 */
export function assign(target: Tensor, value: Tensor): void {
  const op = 'assign';
  requireSameEngine(op, target, value);
  requireSameDType(op, target, value);
  requireExtent(op, 'the size of value', value.size, target.size);
  if (target.buffer === value.buffer) return;
  target.engine.kernels.cast({ x: view(value, target.shape) }, { out: target });
}

/** Σ x² over all elements of all inputs (at least one), floats of one dtype: float32 []. */
export function sumSquares(inputs: readonly Tensor[]): Tensor {
  requireList('sumSquares', 'the list of inputs', inputs);
  const [first] = inputs;
  if (!first) throw new XMoEError('value', 'there is nothing to sum', { op: 'sumSquares', hint: 'pass at least one tensor' });
  requireFloat('sumSquares', 'the first input', first);
  for (const input of inputs) requireSameDType('sumSquares', first, input);
  requireSameEngine('sumSquares', first, ...inputs);
  const out = first.engine.empty([]);
  first.engine.kernels.sumSquares({ parts: inputs }, { out: view(out, [1]) });
  first.engine.tape?.record({
    op: 'sumSquares',
    inputs,
    outputs: [out],
    saved: inputs,
    backward: ([dy], saved) => {
      const twice = multiply(dy!, 2);
      return saved.map((input) => cast(multiply(cast(input!, 'float32'), twice), input!.dtype));
    },
  });
  return out;
}
