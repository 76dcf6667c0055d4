// Fallbacks of softmax and its gradient in required primitives.
import type { KernelInputs, KernelOutputs } from '../contract.js';
import { LOWEST_FLOAT32 } from '../dtype.js';
import type { Scratch } from './scratch.js';

/** max, subtract, exp, sum, divide. A row of −∞ becomes zeros: its sum is 0, where others have 1 or more. */
export function softmax(scratch: Scratch, { x }: KernelInputs<'softmax'>, { out }: KernelOutputs<'softmax'>): void {
  const values = scratch.cast(x, 'float32');
  // A finite floor keeps a row of −∞ from becoming −∞ − (−∞).
  const peak = scratch.binary('maximum', scratch.reduce('max', values, 1), LOWEST_FLOAT32);
  const exponentials = scratch.unary('exp', scratch.binary('subtract', values, peak));
  const sum = scratch.binary('maximum', scratch.reduce('sum', exponentials, 1), 1);
  if (out.dtype === 'float32') scratch.binary('divide', exponentials, sum, out);
  else scratch.copy(scratch.binary('divide', exponentials, sum), out);
}

/** dx = y · (dy − Σ y·dy). */
export function softmaxGrad(scratch: Scratch, { y, dy }: KernelInputs<'softmaxGrad'>, { dx }: KernelOutputs<'softmaxGrad'>): void {
  const probabilities = scratch.cast(y, 'float32');
  const upstream = scratch.cast(dy, 'float32');
  const inner = scratch.reduce('sum', scratch.binary('multiply', probabilities, upstream), 1);
  scratch.copy(scratch.binary('multiply', probabilities, scratch.binary('subtract', upstream, inner)), dx);
}
