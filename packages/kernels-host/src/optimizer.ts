// adamStep: decoupled weight decay, Loshchilov and Hutter 2019 (Algorithm 2), in place.
import type { KernelAttributes } from '@xmoe/core';
import { floats, type ViewInputs, type ViewOutputs } from './host-view.js';

export function adamStep(
  { gradients, hyper }: ViewInputs<'adamStep'>,
  { parameters, m, v }: ViewOutputs<'adamStep'>,
  { decay }: KernelAttributes<'adamStep'>,
): void {
  const [rate, beta1, beta2, epsilon, weightDecay, correction1, correction2, scale, rest1, rest2] = floats(hyper);
  if (scale === 0) return;
  const shrink = decay ? rate * weightDecay : 0;
  const [step, unbias] = [rate / correction1, 1 / correction2];
  parameters.forEach((parameter, index) => {
    const [p, dp, first, second] = [floats(parameter), floats(gradients[index]), floats(m[index]), floats(v[index])];
    for (let i = 0; i < p.length; i++) {
      const g = dp[i] * scale;
      const mean = beta1 * first[i] + rest1 * g;
      const square = beta2 * second[i] + rest2 * g * g;
      first[i] = mean;
      second[i] = square;
      p[i] -= (step * mean) / (Math.sqrt(square * unbias) + epsilon) + shrink * p[i];
    }
  });
}
