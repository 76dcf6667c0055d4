// adamStep: decoupled weight decay, Loshchilov and Hutter 2019 (Algorithm 2), in place.
import type { KernelAttributes, KernelInputs, KernelOutputs } from '@xmoe/core';
import { floats } from '../storage.js';

export function adamStep(
  { gradients, hyper }: KernelInputs<'adamStep'>,
  { parameters, m, v }: KernelOutputs<'adamStep'>,
  { decay }: KernelAttributes<'adamStep'>,
): void {
  const [rate, beta1, beta2, epsilon, weightDecay, correction1, correction2, scale, rest1, rest2] = floats(hyper);
  if (scale === 0) return;
  const shrink = decay ? weightDecay : 0;
  parameters.forEach((parameter, index) => {
    const [p, dp, first, second] = [floats(parameter), floats(gradients[index]), floats(m[index]), floats(v[index])];
    for (let i = 0; i < p.length; i++) {
      const g = dp[i] * scale;
      first[i] = beta1 * first[i] + rest1 * g;
      second[i] = beta2 * second[i] + rest2 * g * g;
      const step = first[i] / correction1 / (Math.sqrt(second[i] / correction2) + epsilon);
      p[i] -= rate * (step + shrink * p[i]);
    }
  });
}
